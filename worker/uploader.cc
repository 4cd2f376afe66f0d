// See uploader.h.
#include "worker/uploader.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/timed_wait.h"
#include "coordinator/log/log.h"
#include "proto/files/files.h"
#include "proto/pipe/events.h"
#include "worker/checkpoint_links.h"
#include "worker/protocol/upload_plan.h"
#include "worker/timing.h"
#include "worker/valid_utf8.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(200);
constexpr size_t kMaxWhyBytes = 2000;  // of a refusal, in the job's log

// A refusal as the job's log takes it.
std::string Reason(const absl::Status& why) {
  const std::string reason(why.message());
  return ValidUtf8(std::string_view(reason).substr(0, kMaxWhyBytes));
}

// Beside a linked checkpoint: the sequence number of its event.
std::string SeqPath(const std::string& item) { return item + ".seq"; }

std::optional<uint64_t> ReadSeq(const std::string& item) {
  uint64_t seq = 0;
  const auto text = files::ReadFile(SeqPath(item), 64);
  if (!text.ok() || !absl::SimpleAtoi(*text, &seq)) return std::nullopt;
  return seq;
}

void Discard(const std::string& item) {
  std::error_code ignored;
  fs::remove(SeqPath(item), ignored);
  fs::remove_all(item, ignored);
}

}  // namespace

Uploader::Uploader(LeasedCalls* calls, Spool* spool, std::string folder, int64_t keep_period, absl::Duration grace,
                   std::optional<int64_t> stored_step)
    : calls_(calls),
      spool_(spool),
      folder_(std::move(folder)),
      keep_period_(keep_period),
      grace_(grace),
      stored_step_(stored_step) {
  TakeUpLeftover();
  thread_ = std::thread([this] { Run(); });
}

Uploader::~Uploader() {
  {
    MutexLock lock(&mutex_);
    closing_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

uint64_t Uploader::NewestSeq(const std::string& folder) {
  uint64_t newest = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    newest = std::max(newest, ReadSeq(it->path().string()).value_or(0));
  }
  return newest;
}

void Uploader::TakeUpLeftover() {
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    const std::string path = it->path().string();
    std::optional<uint64_t> seq = ReadSeq(path);
    auto manifest = run::ReadManifest(path);
    if (!manifest.ok()) continue;
    if (std::error_code unknown; !seq && fs::exists(SeqPath(path), unknown)) {
      seq = spool_->last_seq();  // late enough, whatever the number was
      spdlog::warn("{} is damaged: the checkpoint beside it waits for all events that are here", SeqPath(path));
    }
    if (!seq) continue;  // not announced whole: that comes again
    MutexLock lock(&mutex_);
    waiting_.push_back(Item{path, *std::move(manifest), *seq, /*events_lost=*/*seq > spool_->last_seq()});
  }
  MutexLock lock(&mutex_);
  std::sort(waiting_.begin(), waiting_.end(),
            [](const Item& a, const Item& b) { return a.manifest.step < b.manifest.step; });
  PassOver();
}

absl::Status Uploader::Offer(const std::string& path, int64_t step, const std::string& manifest_hash, uint64_t seq) {
  auto manifest = run::ReadManifest(path);
  if (!manifest.ok()) return ToStatus(manifest.error());
  if (manifest->hash != manifest_hash || manifest->step != step) {
    return absl::DataLossError(absl::StrCat(path, " is another checkpoint than its event says"));
  }
  const std::string item = ItemPath(step);
  if (IsOnItsWay(item, manifest_hash)) return absl::OkStatus();
  if (const auto failed = files::MakeFolders(folder_)) return ToStatus(failed);
  if (auto status = LinkCheckpoint(path, item, *manifest); !status.ok()) return status;
  // After a power cut it must not wait for events that the spool has lost.
  if (auto status = spool_->Sync(); !status.ok()) return status;
  if (const auto failed = files::ReplaceFile(SeqPath(item), absl::StrCat(seq))) return ToStatus(failed);
  MutexLock lock(&mutex_);
  waiting_.push_back(Item{item, *std::move(manifest), seq});
  PassOver();
  changed_.SignalAll();
  return absl::OkStatus();
}

bool Uploader::IsOnItsWay(const std::string& path, const std::string& manifest_hash) {
  MutexLock lock(&mutex_);
  const auto is_it = [&](const Item& item) { return item.path == path && item.manifest.hash == manifest_hash; };
  return (busy_ && is_it(*busy_)) || std::any_of(waiting_.begin(), waiting_.end(), is_it);
}

void Uploader::PassOver() {
  for (size_t i = waiting_.size(); i-- > 0;) {
    const bool newest = i + 1 == waiting_.size();
    const bool again = !newest && waiting_[i].path == waiting_[i + 1].path;  // the same folder, offered anew
    if (newest || (IsKept(waiting_[i]) && !again)) continue;
    if (!again) Discard(waiting_[i].path);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

std::optional<Uploader::Item> Uploader::NextItem() {
  MutexLock lock(&mutex_);
  busy_.reset();
  auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !waiting_.empty() || closing_; };
  if (!WaitFor(&changed_, &mutex_, kPoll, ready) || waiting_.empty()) return std::nullopt;
  busy_ = std::move(waiting_.front());
  waiting_.pop_front();
  return busy_;
}

void Uploader::Run() {
  const LogScope scope(calls_->lease().job_id(), calls_->lease().lease_id());
  const Notification& abandoned = calls_->control().abandoned();
  while (!abandoned.HasBeenNotified()) {
    const std::optional<Item> item = NextItem();
    if (!item) {
      MutexLock lock(&mutex_);
      if (closing_ && waiting_.empty()) return;
      continue;
    }
    absl::Status status = Upload(*item);
    if (abandoned.HasBeenNotified()) return;  // what is not committed stays for the daemon's next start
    if (status.ok()) {
      stored_step_ = item->manifest.step;
      told_waiting_ = false;
      spdlog::info("job {}: the coordinator has the checkpoint of step {}", calls_->lease().job_id(),
                   item->manifest.step);
    } else if (absl::IsCancelled(status)) {
      spdlog::info("job {}: the checkpoint of step {} is not delivered: {}", calls_->lease().job_id(),
                   item->manifest.step, std::string(status.message()));
    } else {
      status = absl::Status(status.code(), TellLost(*item, status));
    }
    Discard(item->path);
    MutexLock lock(&mutex_);
    last_result_ = status;
    busy_.reset();  // with its result: who asks between here and the next look must not take it for given up
    changed_.SignalAll();
  }
}

bool Uploader::IsPassedOver() {
  MutexLock lock(&mutex_);
  return !waiting_.empty();
}

absl::Status Uploader::Upload(const Item& item) {
  if (item.events_lost) return absl::DataLossError("the worker's spool was damaged, and events before it are lost");
  const Notification& abandoned = calls_->control().abandoned();
  while (!spool_->WaitForAcknowledged(item.seq, kPoll)) {
    if (abandoned.HasBeenNotified() || calls_->events_given_up()) return absl::CancelledError("given up");
  }
  // Bytes that have gone bad here would be refused there, every time.
  if (const auto failed = run::VerifyCheckpoint(item.path, item.manifest)) return ToStatus(failed);
  int tries = 0;  // the first is always made: checkpoints that come fast must not starve each other
  bool passed_over = false;
  Backoff backoff;
  while (true) {
    absl::Status not_stored;  // the coordinator has no room for it, or its disk fails
    const absl::Status answer = calls_->Retry(abandoned, [&]() -> absl::Status {
      not_stored = absl::OkStatus();
      if (calls_->events_given_up()) return absl::DataLossError("the coordinator lacks the events before it for good");
      passed_over = tries++ > 0 && !IsKept(item) && IsPassedOver();
      if (passed_over) return absl::OkStatus();
      absl::Status said = UploadOnce(item);
      if (!absl::IsResourceExhausted(said)) return said;
      not_stored = std::move(said);
      return absl::OkStatus();  // not for Retry, whose pauses know nothing of the grace
    });
    if (passed_over) return absl::CancelledError("passed over for a newer one");
    if (not_stored.ok()) {
      refused_since_.reset();
      return answer;
    }
    TellWaiting(item, not_stored);
    if (HasWaitedEnough()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the job was cancelled, and in the ", absl::FormatDuration(grace_),
                       " that it then waits the coordinator could not store it: ", not_stored.message()));
    }
    Pause(backoff.Next());
  }
}

bool Uploader::HasWaitedEnough() {
  if (calls_->control().reason() != StopReason::kCancel) return false;
  const absl::Duration now = BootTime();
  if (!refused_since_) refused_since_ = now;
  return now - *refused_since_ >= grace_;
}

void Uploader::Pause(absl::Duration pause) {
  const Notification& abandoned = calls_->control().abandoned();
  const absl::Duration until = BootTime() + pause;
  while (BootTime() < until && !HasWaitedEnough()) {
    if (abandoned.WaitFor(kPoll)) return;
  }
}

void Uploader::TellWaiting(const Item& item, const absl::Status& why) {
  if (told_waiting_) return;
  told_waiting_ = true;
  const std::string told = absl::StrCat("the checkpoint of step ", item.manifest.step,
                                        " waits, as the coordinator cannot store it now: ", Reason(why),
                                        "; what helps: sinkctl why ", calls_->lease().job_id());
  spdlog::warn("job {}: {}", calls_->lease().job_id(), LogText(told));
  spool_->Append(pipe::Encode(pipe::Log{"warning", told}), WallTimeMs());
}

std::string Uploader::TellLost(const Item& item, const absl::Status& why) {
  std::string stays;
  if (stored_step_)
    stays = *stored_step_ == 0 ? "; the job has no other"
                               : absl::StrCat("; that of step ", *stored_step_, ", the newest that is stored, stays");
  const std::string told =
      absl::StrCat("the checkpoint of step ", item.manifest.step, " is lost: ", Reason(why), stays);
  spdlog::warn("job {}: {}", calls_->lease().job_id(), LogText(told));
  spool_->Append(pipe::Encode(pipe::Log{"error", told}), WallTimeMs());
  return told;
}

absl::Status Uploader::UploadOnce(const Item& item) {
  auto begin = calls_->Fill<v1::BeginCheckpointRequest>();
  begin.set_step(item.manifest.step);
  begin.set_manifest_hash(item.manifest.hash);
  std::vector<uint64_t> sizes;
  for (const run::ManifestFile& file : item.manifest.files) {
    sizes.push_back(file.size);
    v1::CheckpointFile* entry = begin.add_files();
    entry->set_name(file.name);
    entry->set_size(file.size);
    entry->set_xxh3(file.xxh3);
  }
  auto commit = calls_->Fill<v1::CommitCheckpointRequest>();
  commit.set_step(item.manifest.step);
  commit.set_manifest_hash(item.manifest.hash);
  commit.set_events_seq(item.seq);

  UploadPlan plan(std::move(sizes));
  for (UploadPlan::Step step = plan.next(); step.kind != UploadPlan::Step::Kind::kDone; step = plan.next()) {
    absl::Status answer;
    if (step.kind == UploadPlan::Step::Kind::kBegin) {
      auto begun = calls_->link().BeginCheckpoint(begin);
      if (begun.ok()) {
        plan.Begun({begun->committed().begin(), begun->committed().end()});
        continue;
      }
      answer = begun.status();
    } else if (step.kind == UploadPlan::Step::Kind::kWrite) {
      const std::string& name = item.manifest.files[step.file].name;
      answer = calls_->link().WriteCheckpoint({calls_->worker_id(), calls_->lease(), item.manifest.step, name,
                                               absl::StrCat(item.path, "/", name), step.offset});
    } else {
      answer = calls_->link().CommitCheckpoint(commit);
    }
    if (absl::Status failed = plan.Answered(answer); !failed.ok()) return failed;
  }
  return absl::OkStatus();
}

absl::Status Uploader::WaitUntilCommitted() {
  MutexLock lock(&mutex_);
  auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return waiting_.empty() && !busy_; };
  while (!WaitFor(&changed_, &mutex_, kPoll, idle)) {
    if (calls_->control().abandoned().HasBeenNotified()) return absl::CancelledError("given up");
  }
  return last_result_;
}

}  // namespace sink::worker
