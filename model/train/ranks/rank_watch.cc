#include "model/train/ranks/rank_watch.h"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "model/train/link/train_error.h"
#include "model/train/ranks/rendezvous.h"
#include "proto/pipe/other_rank.h"

namespace sink::train {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kBeat{500};
constexpr milliseconds kSilence{2500};  // without a beat for that long: dead, or stopped
constexpr milliseconds kPoll{10};
constexpr milliseconds kFarewell{10'000};

constexpr char kFailed[] = "failed";
constexpr char kNobody[] = "a collective failed";  // and no rank stands out
constexpr char kLeft[] = "left";

std::string Key(const char* what, int64_t number) { return std::string(what) + "/" + std::to_string(number); }

}  // namespace

RankWatch::RankWatch(const RankWorld& world, const std::function<void()>& idle) : world_(world) {
  const std::string place = world.host + ":" + std::to_string(world.port);
  // TCPStore itself would wait without a pause for `idle`, and longer and longer from one try to the next.
  if (world.rank != 0) {
    const std::string error = AwaitListener(world, idle);
    if (!error.empty()) ThrowSeen(Name(0) + " does not answer at SINK_RENDEZVOUS=" + place, error);
  }
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(world.port);
  options.isServer = world.rank == 0;
  options.waitWorkers = false;
  options.timeout = world.timeout;
  try {
    store_ =
        c10::make_intrusive<c10d::PrefixStore>(world.token, c10::make_intrusive<c10d::TCPStore>(world.host, options));
  } catch (const c10::Error& e) {
    if (world.rank == 0)
      throw InfraError("rank 0 cannot listen at SINK_RENDEZVOUS=" + place + ": " + e.what_without_backtrace());
    ThrowSeen(Name(0) + " does not answer at SINK_RENDEZVOUS=" + place, e.what_without_backtrace());
  }
  store_->setTimeout(world.timeout);
  Meet(idle);
  beating_ = std::thread([this, store = store_->clone()] { Beat(*store); });
}

RankWatch::~RankWatch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ended_.notify_all();
  beating_.join();
  try {
    world_.rank == 0 ? AwaitOthers() : SayGoodbye();
  } catch (const std::exception&) {  // rank 0 is gone: nobody to say goodbye to
  }
}

void RankWatch::Meet(const std::function<void()>& idle) const {
  const auto end = Clock::now() + world_.timeout;
  try {
    if (store_->add(Key("rank", world_.rank), 1) != 1)
      throw InfraError("two processes are rank " + std::to_string(world_.rank) + " of this run; SINK_RANK must differ");
    int come = 0;  // all ranks below have
    while (come < world_.size && Clock::now() < end) {
      if (store_->check({Key("rank", come)})) {
        ++come;
        continue;
      }
      std::this_thread::sleep_for(kPoll);
      idle();
    }
    if (come == world_.size) return;
  } catch (const c10::Error&) {  // rank 0 has lost patience first
  }
  std::vector<int> missing;
  try {
    for (int rank = 0; rank < world_.size; ++rank)
      if (!store_->check({Key("rank", rank)})) missing.push_back(rank);
  } catch (const c10::Error&) {
    missing = {0};
  }
  ThrowSeen(Name(missing) + " did not come to SINK_RENDEZVOUS=" + world_.host + ":" + std::to_string(world_.port) +
            " within " + std::to_string(world_.timeout.count()) +
            " s; it did not start, cannot reach that address, or has another SINK_RENDEZVOUS_TOKEN");
}

void RankWatch::Beat(c10d::Store& store) {
  std::unique_lock lock(mutex_);
  for (int64_t beats = 1; !ending_; ++beats) {
    lock.unlock();
    try {
      store.set(Key("life", world_.rank), std::to_string(beats) + " " + std::to_string(collectives_));
    } catch (const std::exception&) {  // rank 0 is gone: the training thread finds out by itself
      return;
    }
    lock.lock();
    ended_.wait_for(lock, kBeat, [this] { return ending_; });
  }
}

std::vector<RankWatch::Heartbeat> RankWatch::LastHeartbeats() const {
  std::vector<Heartbeat> heartbeats(static_cast<size_t>(world_.size));
  for (int rank = 0; rank < world_.size; ++rank) {
    const std::string key = Key("life", rank);
    if (!store_->check({key})) continue;
    Heartbeat& last = heartbeats[static_cast<size_t>(rank)];
    std::istringstream(store_->get_to_str(key)) >> last.beats >> last.collectives;
  }
  return heartbeats;
}

void RankWatch::Done(int64_t n, bool result) {
  try {
    store_->set(Key("done", n), result ? "1" : "0");
  } catch (const std::exception& e) {
    Blame(e.what());
  }
}

bool RankWatch::AwaitDone(int64_t n, const std::function<void()>& idle) {
  const std::string key = Key("done", n);
  while (true) {
    try {
      if (store_->check({key})) return store_->get_to_str(key) == "1";
      if (!Announced().empty()) break;
    } catch (const std::exception&) {
      break;
    }
    std::this_thread::sleep_for(kPoll);
    idle();
  }
  Blame("waiting for rank 0 to measure, save or load");
}

std::string RankWatch::Announced() const { return store_->check({kFailed}) ? store_->get_to_str(kFailed) : ""; }

// Watches the others for a while, because a rank that was killed could not announce it.
std::string RankWatch::FindCulprit() const {
  const std::vector<Heartbeat> before = LastHeartbeats();
  for (const auto end = Clock::now() + kSilence; Clock::now() < end; std::this_thread::sleep_for(10 * kPoll))
    if (const std::string cause = Announced(); !cause.empty()) return cause;
  const std::vector<Heartbeat> after = LastHeartbeats();
  std::vector<int> silent, behind;
  const auto most = std::max_element(
      after.begin(), after.end(), [](const Heartbeat& a, const Heartbeat& b) { return a.collectives < b.collectives; });
  for (int rank = 0; rank < world_.size; ++rank) {
    const Heartbeat& last = after[static_cast<size_t>(rank)];
    if (last.beats == before[static_cast<size_t>(rank)].beats && rank != world_.rank) silent.push_back(rank);
    if (last.collectives < most->collectives && rank != world_.rank) behind.push_back(rank);
  }
  if (!silent.empty()) return Name(silent) + " failed: no sign of life";
  if (!behind.empty()) return Name(behind) + " failed: alive, but did not come to a collective in time";
  return kNobody;
}

void RankWatch::Blame(const std::string& symptom) {
  std::string cause;
  try {
    cause = Announced();
    if (cause.empty()) cause = store_->compareSet(kFailed, "", FindCulprit());
  } catch (const std::exception&) {
    cause = Name(0) + " failed: it holds the rendezvous and does not answer";
  }
  // What nobody else is the cause of, and what the others say of this one, is its own.
  if (cause == kNobody || cause.starts_with(Name(world_.rank) + " ")) throw InfraError(cause + ": " + symptom);
  ThrowSeen(cause, symptom);
}

void RankWatch::ThrowSeen(const std::string& cause, const std::string& symptom) const {
  throw InfraError(pipe::OfAnotherRank(cause, Name(world_.rank), symptom));
}

void RankWatch::Announce() noexcept {
  try {
    store_->compareSet(kFailed, "", Name(world_.rank) + " failed: it ended with an error, which it reported");
  } catch (const std::exception&) {  // rank 0 is gone, and the others see that
  }
}

void RankWatch::SayGoodbye() const { store_->add(kLeft, 1); }

// The others need the store to learn the cause of a failure, or that the last piece of work is done.
void RankWatch::AwaitOthers() const {
  const auto end = Clock::now() + kFarewell;
  std::vector<Heartbeat> before = LastHeartbeats();
  for (auto since = Clock::now(); Clock::now() < end && store_->add(kLeft, 0) < world_.size - 1;
       std::this_thread::sleep_for(kPoll)) {
    if (Clock::now() - since < kSilence) continue;
    std::vector<Heartbeat> now = LastHeartbeats();
    if (std::equal(now.begin(), now.end(), before.begin(),
                   [](const Heartbeat& a, const Heartbeat& b) { return a.beats == b.beats; }))
      return;
    before = std::move(now);
    since = Clock::now();
  }
}

std::string RankWatch::Name(int rank) const {
  return "rank " + std::to_string(rank) + " of " + std::to_string(world_.size);
}

std::string RankWatch::Name(const std::vector<int>& ranks) const {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < ranks.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(ranks[i]);
  return text + " of " + std::to_string(world_.size);
}

}  // namespace sink::train
