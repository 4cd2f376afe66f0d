// See worker.h.
#include "tests/simulator/worker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/errors/error_detail.h"
#include "proto/pipe/events.h"
#include "worker/protocol/answer.h"

namespace sink::simulator {
namespace {

constexpr int64_t kLeastStep = 60 * kMs, kMostStep = 200 * kMs;
constexpr int64_t kLeastPoll = 400 * kMs, kMostPoll = 600 * kMs;
constexpr int64_t kMostWaitMs = 20'000;  // of a question for work
constexpr int64_t kLeastBackoff = 160 * kMs, kMostBackoff = 2 * kSecond;
constexpr uint64_t kBlock = 1 << 20;  // bytes of a checkpoint that arrive at once

bool Names(const std::vector<Lease>& leases, const Lease& lease) {
  return std::find(leases.begin(), leases.end(), lease) != leases.end();
}

}  // namespace

Worker::Worker(World* world, int number)
    : world_(world), number_(number), id_(absl::StrCat("w", number)), devices_(1 + number % 2) {}

Worker::~Worker() = default;

void Worker::Guard(uint64_t life, const std::function<void()>& action) {
  if (life != life_) return;
  const int64_t left = frozen_until_ - world_->timeline().now();
  if (left <= 0) return action();
  world_->timeline().After(left, [this, life, action] { Guard(life, action); });
}

void Worker::Later(int64_t delay, std::function<void()> action) {
  world_->timeline().After(delay, [this, life = life_, action = std::move(action)] { Guard(life, action); });
}

void Worker::Boot() {
  ++life_;
  session_ = absl::StrCat(absl::Hex(++boots_, absl::kZeroPad16), absl::Hex(world_->random().Next(), absl::kZeroPad16));
  poll_ = 1;
  must_register_ = true;
  beats_ = false;
  frozen_until_ = 0;
  for (auto& [id, runner] : runners_) {  // what a former daemon left is delivered
    runner.phase = JobState::kFinalizing;
    runner.delivery = worker::Delivery(runner.first);  // how much more was acknowledged is not remembered
    runner.acknowledged = runner.first - 1;
    runner.reporting = runner.uploading = runner.finishing = runner.refused = runner.fetching = false;
    runner.plan.reset();
    if (!runner.outcome) runner.outcome = Outcome{JobState::kFailed, FailureClass::kInfra, "worker restarted"};
  }
  Control();
}

void Worker::Crash(bool machine) {
  world_->Note(absl::StrCat(id_, machine ? " is lost" : " crashes"));
  world_->HangUp(number_);
  for (auto& [id, runner] : runners_) {
    if (!runner.trains) continue;
    runner.trains = false;
    if (runner.ranks > 1) world_->GangOf(runner.token, runner.ranks).broken = true;
    if (runner.leads) world_->oracle().TrainerEnded(runner.lease);
  }
  if (!machine && world_->random().Chance(0.5)) SayGoodbye();
  if (machine) DamageDisk();
  ++life_;
  world_->timeline().After(world_->random().Between(100 * kMs, 3 * kSecond), [this, life = life_] {
    if (life == life_) Boot();
  });
}

void Worker::DamageDisk() {
  if (world_->random().Chance(0.5)) {
    runners_.clear();
    saved_.clear();
    return;
  }
  for (auto& [id, runner] : runners_) {
    const uint64_t last = runner.events.size();
    const uint64_t counted_on = runner.outcome ? last : runner.waiting.empty() ? 0 : runner.waiting.back().seq;
    runner.needed = std::max(runner.needed, counted_on);
    runner.events.resize(world_->random().Between(static_cast<int64_t>(runner.first) - 1, static_cast<int64_t>(last)));
  }
}

void Worker::Freeze(int64_t duration) {
  world_->Note(absl::StrCat(id_, " freezes for ", duration / kMs, " ms"));
  frozen_until_ = world_->timeline().now() + duration;
  for (const auto& [id, runner] : runners_) world_->oracle().Excuse(runner.lease.fence);
}

void Worker::KillTrainer() {
  for (auto& [id, runner] : runners_) {
    if (!runner.trains || frozen_until_ > world_->timeline().now()) continue;
    return EndTrainer(id, {JobState::kFailed, FailureClass::kInfra, "trainer was killed"});
  }
}

int Worker::Free() const {
  int free = devices_;
  for (const auto& [id, runner] : runners_) free -= runner.trains ? runner.devices : 0;
  return free;
}

void Worker::Control() {
  if (must_register_) return Register();
  if (Free() > 0) return Poll();
  Later(world_->random().Between(kLeastPoll, kMostPoll), [this] { Control(); });
}

void Worker::Register() {
  RegisterRequest request;
  request.worker_id = request.name = id_;
  request.host = id_;
  request.session = session_;
  request.devices = devices_;
  for (const auto& [id, runner] : runners_) request.held.push_back(runner.lease);
  must_register_ = false;
  const int64_t sent_at = world_->timeline().now();
  using Answer = std::vector<Lease>;
  Call<Answer>([request](JobManager& manager, Now now) { return manager.workers().Register(request, now); },
               [this, request, sent_at](const absl::StatusOr<Answer>& keep) {
                 if (!keep.ok()) {
                   must_register_ = true;
                   return Later(world_->random().Between(kLeastBackoff, kMostBackoff), [this] { Control(); });
                 }
                 for (const Lease& lease : request.held) {
                   const auto runner = runners_.find(lease.id);
                   if (runner == runners_.end()) continue;
                   if (Names(*keep, lease)) {
                     Renew(runner->second, sent_at);
                     Pump(lease.id);
                   } else {
                     Drop(lease.id);
                   }
                 }
                 if (!std::exchange(beats_, true)) Beat();
                 Control();
               });
}

HeartbeatRequest Worker::MakeHeartbeat() const {
  HeartbeatRequest request{id_, session_, {}, Free()};
  for (const auto& [id, runner] : runners_) request.held.push_back({runner.lease, runner.phase});
  return request;
}

void Worker::SayGoodbye() {
  HeartbeatRequest request = MakeHeartbeat();
  request.leaving = true;
  world_->Call<HeartbeatResult>(
      number_,
      [this, request](JobManager& manager, Now now) {
        auto result = manager.workers().Heartbeat(request, now);
        if (result.ok()) world_->desk().Hear(request.worker_id, /*devices_free=*/0);
        return result;
      },
      [](const absl::StatusOr<HeartbeatResult>&) {});
}

void Worker::Beat() {
  const HeartbeatRequest request = MakeHeartbeat();
  const int64_t sent_at = world_->timeline().now();
  Call<HeartbeatResult>(
      [this, request](JobManager& manager, Now now) {
        auto result = manager.workers().Heartbeat(request, now);
        if (result.ok()) world_->desk().Hear(request.worker_id, request.devices_free);
        return result;
      },
      [this, request, sent_at](const absl::StatusOr<HeartbeatResult>& answer) {
        const int64_t interval = world_->options().heartbeat_interval_ms * kMs;
        Later(answer.ok() ? world_->random().Between(interval * 8 / 10, interval * 12 / 10)
                          : world_->random().Between(kLeastBackoff, interval),
              [this] { Beat(); });
        if (worker::MustRegister(answer.status())) must_register_ = true;
        if (!answer.ok()) return;
        for (const HeldJob& held : request.held) {
          const auto runner = runners_.find(held.lease.id);
          if (runner == runners_.end()) continue;
          Renew(runner->second, sent_at);
          if (Names(answer->stale, held.lease)) {
            Drop(held.lease.id);
            continue;
          }
          world_->oracle().Confirmed(held.lease.fence);
          const bool cancelled = Names(answer->cancel, held.lease);
          if (!runner->second.trains || runner->second.stopping ||
              (!cancelled && !Names(answer->hand_back, held.lease))) {
            continue;
          }
          runner->second.stopping = true;
          Later(world_->random().Between(50 * kMs, 300 * kMs), [this, id = held.lease.id, cancelled] {
            const auto stopped = runners_.find(id);
            if (stopped == runners_.end() || !stopped->second.trains) return;
            Save(stopped->second);
            EndTrainer(id, {JobState::kCancelled, FailureClass::kNone, cancelled ? "cancelled" : "worker stopped"});
          });
        }
      });
}

void Worker::Poll() {
  World& world = *world_;
  LeaseRequest request{id_, session_, poll_, Free(), 29500};
  request.wait_ms = kMostWaitMs;
  if (world.faults()) request.wait_ms = world.random().Chance(0.3) ? 0 : world.random().Between(500, kMostWaitMs);
  const int64_t sent_at = world.timeline().now();
  world.Ask(number_, request, [this, life = life_, sent_at](const Desk::Grants& grants, int64_t waited) {
    Guard(life, [this, grants, leased_at = sent_at + waited] { Answered(grants, leased_at); });
  });
}

void Worker::Answered(const Desk::Grants& grants, int64_t leased_at) {
  if (worker::MustRegister(grants.status())) must_register_ = true;
  if (grants.ok()) {
    ++poll_;
    for (const Grant& grant : *grants) Begin(grant, leased_at);
  }
  Later(world_->random().Between(kLeastPoll, kMostPoll), [this] { Control(); });
}

void Worker::Renew(Runner& runner, int64_t sent_at) {
  runner.term = worker::TermOf(absl::Microseconds(sent_at), absl::Milliseconds(world_->options().lease_duration_ms));
}

void Worker::Begin(const Grant& grant, int64_t renewed_at) {
  const auto [place, added] = runners_.try_emplace(grant.lease.id);
  Runner& runner = place->second;
  if (!added) return;
  runner.lease = grant.lease;
  runner.devices = grant.devices;
  runner.leads = grant.first_rank == 0;
  runner.ranks = grant.world_size;
  runner.token = grant.token;
  runner.step = grant.resume_from ? grant.resume_from->step : 0;
  Renew(runner, renewed_at);
  world_->Note(absl::StrCat(id_, " begins ", grant.lease.job_id.substr(0, 8), " attempt ", grant.lease.attempt,
                            " rank ", grant.first_rank, " at step ", runner.step));
  const bool crowded = Free() < runner.devices;
  runner.trains = true;
  if (runner.leads) world_->oracle().TrainerBegan(runner.lease);
  if (crowded) return EndTrainer(grant.lease.id, {JobState::kFailed, FailureClass::kInfra, "no devices free"});
  if (runner.ranks > 1) {
    world_->GangOf(runner.token, runner.ranks).missing -= runner.devices;
    world_->oracle().Excuse(runner.lease.fence);
  }
  runner.fetching = runner.leads && grant.resume_from.has_value();
  Later(world_->random().Between(kLeastStep, kMostStep), [this, id = grant.lease.id] { Train(id); });
  if (runner.fetching) {
    // What an attempt of another coordinator, or of one that was put back to a backup since, has left here.
    if (world_->random().Chance(0.1)) {
      std::vector<std::string>& here = saved_[{grant.lease.job_id, runner.step}];
      here.insert(here.begin(), HashOf(grant.lease.job_id, /*fence=*/0, runner.step));
    }
    const std::optional<Checkpoint> local = FindLocal(*grant.resume_from);
    // Folders are tidied away, too.
    if (!local || world_->random().Chance(0.5)) return Fetch(grant.lease.id, runner.step);
    world_->oracle().Resumed(runner.lease, &*local, /*intact=*/true, /*promised=*/0);  // the grant was checked
    runner.fetching = false;
  }
  if (runner.leads) StartTrainer(runner);
}

std::optional<Checkpoint> Worker::FindLocal(const Checkpoint& wanted) const {
  const auto found = saved_.find({wanted.job_id, wanted.step});
  if (found == saved_.end()) return std::nullopt;
  for (const std::string& hash : found->second) {
    if (hash != wanted.manifest_hash && world_->mutation() != Mutation::kLocal) continue;
    Checkpoint local = wanted;
    local.manifest_hash = hash;
    return local;
  }
  return std::nullopt;
}

absl::StatusOr<Worker::Fetched> Worker::ServeFetch(JobManager& manager, Now now, const Claim& as,
                                                   const std::string& job, int64_t step) {
  Oracle& oracle = world_->oracle();
  const int64_t promised = oracle.NewestCheckpoint(job).step;
  if (const auto current = manager.workers().CheckLease(as.worker_id, as.lease, now); !current.ok()) {
    return current.status();
  }
  const auto rows = manager.queries().ListCheckpoints(job);
  if (!rows.ok()) return rows.status();
  const auto row = std::find_if(rows->begin(), rows->end(),
                                [step](const Checkpoint& checkpoint) { return step == 0 || checkpoint.step == step; });
  // What has been damaged in between is not promised any more, what has come in between not yet.
  Fetched fetched{.promised = std::min(promised, oracle.NewestCheckpoint(job).step)};
  if (row == rows->end()) return fetched;
  const CheckpointFiles::Key key{job, row->fence, row->step};
  if (!world_->files().IsComplete(key)) oracle.Fail("the files of a checkpoint that is fetched are gone");
  if (!world_->files().IsIntact(key)) {
    absl::Status dropped = manager.checkpoints().DropDamaged(*row, "other bytes than were written", now).status();
    if (dropped.ok() && world_->mutation() == Mutation::kDropAll) {
      std::vector<int64_t> others;
      for (const Checkpoint& other : *rows) {
        if (other.step != row->step) others.push_back(other.step);
      }
      dropped = manager.checkpoints().Drop(job, others);
    }
    return dropped.ok() ? absl::DataLossError("damaged, and dropped") : dropped;
  }
  if (world_->Fault(0.1)) return absl::UnavailableError("the stream broke");
  fetched.checkpoint = *row;
  fetched.intact = !world_->Fault(0.1);
  return fetched;
}

void Worker::Fetch(const std::string& id, int64_t step) {
  constexpr int kMostBadFetches = 3;
  LeasedCall<Fetched>(
      id,
      [this, job = runners_.at(id).lease.job_id, step](JobManager& manager, Now now, const Claim& as) {
        return ServeFetch(manager, now, as, job, step);
      },
      [this, id, step](Runner& runner, const absl::StatusOr<Fetched>& fetched) {
        if (!runner.trains) return;  // told to stop meanwhile
        const bool gone = absl::IsDataLoss(fetched.status()) || (fetched.ok() && !fetched->checkpoint);
        if (gone && step > 0) return Fetch(id, 0);
        const bool bad = fetched.ok() && !fetched->intact && world_->mutation() != Mutation::kFetch;
        if (bad && ++runner.bad_fetches == kMostBadFetches) {
          return EndTrainer(id, {JobState::kFailed, FailureClass::kInfra, "the checkpoint arrives damaged"});
        }
        if (bad || !fetched.ok()) {
          const worker::Answer answer = worker::JudgeAnswer(fetched.status());
          if (answer == worker::Answer::kStale) return Drop(id);
          if (answer == worker::Answer::kUnregistered) must_register_ = true;
          return Later(world_->random().Between(kLeastBackoff, kMostBackoff), [this, id, step] {
            const auto found = runners_.find(id);
            if (found != runners_.end() && found->second.trains) Fetch(id, step);
          });
        }
        const Checkpoint* const from = fetched->checkpoint ? &*fetched->checkpoint : nullptr;
        world_->oracle().Resumed(runner.lease, from, fetched->intact, fetched->promised);
        runner.fetching = false;
        runner.step = from != nullptr ? from->step : 0;
        StartTrainer(runner);
      });
}

void Worker::StartTrainer(Runner& runner) {
  world_->Note(absl::StrCat(id_, " trains ", runner.lease.job_id.substr(0, 8), " from step ", runner.step));
  Spool(runner, pipe::Encode(pipe::Hello{.start_step = runner.step, .max_steps = world_->plan().steps}), {});
}

void Worker::Drop(const std::string& id) {
  const auto found = runners_.find(id);
  if (found == runners_.end()) return;
  Runner& runner = found->second;
  world_->Note(absl::StrCat(id_, " drops attempt ", runner.lease.attempt, " of ", runner.lease.job_id.substr(0, 8)));
  if (runner.trains) {
    if (runner.ranks > 1) world_->GangOf(runner.token, runner.ranks).broken = true;
    if (runner.leads) world_->oracle().TrainerEnded(runner.lease);
  }
  runners_.erase(found);
}

void Worker::Train(const std::string& id) {
  const auto found = runners_.find(id);
  if (found == runners_.end() || !found->second.trains) return;
  Runner& runner = found->second;
  if (absl::Microseconds(world_->timeline().now()) > runner.term.stop_at) {
    return EndTrainer(id, {JobState::kFailed, FailureClass::kInfra, "lost contact"});
  }
  Later(world_->random().Between(kLeastStep, kMostStep), [this, id] { Train(id); });
  if (runner.ranks > 1) {
    World::Gang& gang = world_->GangOf(runner.token, runner.ranks);
    if (gang.broken) return EndTrainer(id, {JobState::kFailed, FailureClass::kInfra, "a rank is gone"});
    if (gang.complete && !runner.leads) return EndTrainer(id, {JobState::kSucceeded, FailureClass::kNone, ""});
    if (gang.missing > 0) return;
  }
  if (runner.fetching) return;
  runner.phase = JobState::kRunning;
  if (!runner.leads) return;
  if (runner.step < world_->plan().steps) OneStep(runner);
  if (runner.step >= world_->plan().steps) {
    if (runner.ranks > 1) world_->GangOf(runner.token, runner.ranks).complete = true;
    return EndTrainer(id, {JobState::kSucceeded, FailureClass::kNone, ""});
  }
  Pump(id);
}

void Worker::OneStep(Runner& runner) {
  ++runner.step;
  const std::string& job = runner.lease.job_id;
  const bool loses = world_->mutation() == Mutation::kPoints && runner.step == 1;
  Spool(runner,
        loses ? pipe::Encode(pipe::Log{"info", "-"})
              : pipe::Encode(pipe::Metrics{runner.step, {{"loss", LossOf(job, runner.step)}}}),
        {.point_of = runner.step});
  Spool(runner, pipe::Encode(pipe::Log{"info", LineOf(runner.lease.fence, runner.step)}), {.line_of = runner.step});
  if (runner.step % world_->plan().save_every == 0 || runner.step == world_->plan().steps) Save(runner);
}

void Worker::Spool(Runner& runner, const std::string& record, const Oracle::Spooling& event) {
  runner.events.push_back({runner.events.size() + 1, record, 0});
  world_->oracle().Spooled(runner.lease.fence, event);
}

void Worker::Save(Runner& runner) {
  if (!runner.leads || runner.step == 0 || runner.fetching) return;
  if (!runner.waiting.empty() && runner.waiting.back().step == runner.step) return;  // on its way
  saved_[{runner.lease.job_id, runner.step}].push_back(HashOf(runner.lease.job_id, runner.lease.fence, runner.step));
  // One that was not begun is passed over for the newest.
  const size_t begun = runner.uploading || runner.plan ? 1 : 0;
  while (runner.waiting.size() > begun) runner.waiting.pop_back();
  const std::vector<uint64_t> sizes = {3 * kBlock, kBlock};
  runner.waiting.push_back({runner.step, runner.events.size(), sizes});
}

void Worker::EndTrainer(const std::string& id, Outcome outcome) {
  Runner& runner = runners_.at(id);
  runner.trains = false;
  runner.phase = JobState::kFinalizing;
  if (runner.ranks > 1 && outcome.state != JobState::kSucceeded) {
    world_->GangOf(runner.token, runner.ranks).broken = true;
  }
  if (runner.leads) world_->oracle().TrainerEnded(runner.lease);
  world_->Note(absl::StrCat(id_, " ended attempt ", runner.lease.attempt, " of ", runner.lease.job_id.substr(0, 8), " ",
                            std::string(NameOf(outcome.state)), " ", outcome.message));
  runner.outcome = std::move(outcome);
  Pump(id);
}

void Worker::Pump(const std::string& id) {
  const auto found = runners_.find(id);
  if (found == runners_.end()) return;
  Runner& runner = found->second;
  if (runner.needed > runner.events.size()) return MendSpool(id, runner);
  if (runner.delivery.next() < runner.first && !runner.refused) {
    runner.refused = true;
    runner.outcome =
        Outcome{JobState::kFailed, FailureClass::kInfra, "the coordinator has lost what the disk has lost"};
  }
  if (!runner.reporting && !runner.refused && runner.delivery.next() <= runner.events.size()) Report(id, runner);
  const bool durable = !runner.waiting.empty() && runner.acknowledged >= runner.waiting.front().seq;
  const bool may_upload = durable || world_->mutation() == Mutation::kEvents;
  if (!runner.uploading && !runner.waiting.empty() && may_upload) Upload(id, runner);
  const bool delivered = runner.acknowledged >= runner.events.size() && runner.waiting.empty();
  if (runner.outcome && !runner.finishing && (delivered || runner.refused)) Finish(id, runner);
}

Worker::Claim Worker::Mutated(JobManager& manager, const Lease& lease) const {
  const Claim claim = {id_, lease};
  if (world_->mutation() != Mutation::kFence) return claim;
  const auto details = manager.queries().GetJob(lease.job_id);
  if (!details.ok() || !IsLive(details->job.state)) return claim;
  return {details->job.holder.worker_id, details->job.lease()};
}

template <typename Response>
void Worker::LeasedCall(const std::string& id,
                        std::function<absl::StatusOr<Response>(JobManager&, Now, const Claim&)> serve,
                        std::function<void(Runner&, const absl::StatusOr<Response>&)> answered) {
  Call<Response>([this, lease = runners_.at(id).lease, serve](
                     JobManager& manager, Now now) { return serve(manager, now, Mutated(manager, lease)); },
                 [this, id, answered](const absl::StatusOr<Response>& answer) {
                   const auto found = runners_.find(id);
                   if (found != runners_.end()) answered(found->second, answer);
                 });
}

void Worker::NoteMissingEvents(Runner* runner, const absl::Status& status) {
  if (const auto expected = ExpectedEvent(status)) runner->delivery.GoBack(*expected);
}

void Worker::Retry(const std::string& id, const absl::Status& status) {
  switch (worker::JudgeAnswer(status)) {
    case worker::Answer::kStale:
      return Drop(id);
    case worker::Answer::kUnregistered:
      must_register_ = true;
      break;
    case worker::Answer::kDone:
    case worker::Answer::kRefused:
    case worker::Answer::kAgain:
      break;
  }
  Later(world_->random().Between(kLeastBackoff, kMostBackoff), [this, id] { Pump(id); });
}

void Worker::MendSpool(const std::string& id, Runner& runner) {
  if (std::exchange(runner.reporting, true)) return;
  LeasedCall<uint64_t>(
      id,
      [](JobManager& manager, Now now, const Claim& as) {
        return manager.workers().Report(as.worker_id, as.lease, std::vector<Event>(), now);
      },
      [this, id](Runner& mended, const absl::StatusOr<uint64_t>& durable) {
        mended.reporting = false;
        if (!durable.ok()) return Retry(id, durable.status());
        if (*durable > mended.events.size()) {
          mended.events.resize(*durable);  // numbers only: it has none of them
          mended.first = *durable + 1;
          mended.delivery = worker::Delivery(mended.first);
          mended.acknowledged = *durable;
        }
        if (mended.needed > mended.events.size()) {
          std::erase_if(mended.waiting, [&](const Saved& saved) { return saved.seq > mended.events.size(); });
          if (mended.outcome->state == JobState::kSucceeded && world_->mutation() != Mutation::kSpool) {
            mended.outcome = Outcome{JobState::kFailed, FailureClass::kInfra, "the worker's spool was damaged"};
          }
        }
        mended.needed = 0;
        Pump(id);
      });
}

void Worker::Report(const std::string& id, Runner& runner) {
  runner.reporting = true;
  const size_t first = runner.delivery.next() - 1;
  const size_t count = std::min<size_t>(world_->random().Between(1, 8), runner.events.size() - first);
  const std::vector<Event> batch(runner.events.begin() + first, runner.events.begin() + first + count);
  LeasedCall<uint64_t>(
      id,
      [this, batch, held = runner.lease](JobManager& manager, Now now, const Claim& as) {
        const uint64_t newest = world_->oracle().NewestFence(held.job_id);
        const auto durable = manager.workers().Report(as.worker_id, as.lease, batch, now);
        if (durable.ok()) world_->oracle().Accepted("report", held, newest);
        if (durable.ok()) world_->oracle().Durable(held, *durable);
        return durable;
      },
      [this, id, began = first + 1](Runner& reported, const absl::StatusOr<uint64_t>& durable) {
        reported.reporting = false;
        const worker::Answer answer = worker::JudgeAnswer(durable.status());
        if (answer != worker::Answer::kDone && answer != worker::Answer::kRefused) return Retry(id, durable.status());
        const auto effect = reported.delivery.Answered(began, durable.status(), durable.ok() ? *durable : 0);
        reported.acknowledged = std::max(reported.acknowledged, effect.acknowledge);
        world_->oracle().Confirmed(reported.lease.fence);
        if (!effect.failed.ok()) {
          reported.refused = true;
          if (reported.trains) {
            return EndTrainer(id, {JobState::kFailed, FailureClass::kInfra, "the coordinator refused its events"});
          }
        }
        Pump(id);
      });
}

void Worker::Upload(const std::string& id, Runner& runner) {
  using Step = worker::UploadPlan::Step;
  runner.uploading = true;
  const Saved saved = runner.waiting.front();
  if (!runner.plan) runner.plan.emplace(saved.sizes);
  const Step step = runner.plan->next();
  using There = std::vector<uint64_t>;
  LeasedCall<There>(
      id,
      [this, step, saved, held = runner.lease](JobManager& manager, Now now, const Claim& as) -> absl::StatusOr<There> {
        const auto job = manager.workers().CheckLease(as.worker_id, as.lease, now);
        if (!job.ok()) return job.status();
        const CheckpointFiles::Key key{held.job_id, as.lease.fence, saved.step};
        const std::string hash = HashOf(held.job_id, held.fence, saved.step);
        CheckpointFiles& files = world_->files();
        if (step.kind == Step::Kind::kBegin) {
          if (world_->mutation() == Mutation::kCollect) files.KeepOnly(key, {});
          return files.Begin(key, hash, saved.sizes);
        }
        if (step.kind == Step::Kind::kWrite) {
          const uint64_t left = saved.sizes[step.file] - step.offset;
          const bool breaks = world_->Fault(0.1) && left > kBlock;
          const absl::Status written =
              files.Write(key, step.file, step.offset, breaks ? kBlock : left, world_->Fault(0.1));
          if (breaks) return absl::UnavailableError("the stream broke");
          if (written.ok()) files.Sync(key);
          return written.ok() ? absl::StatusOr<There>(There()) : written;
        }
        const uint64_t newest = world_->oracle().NewestFence(held.job_id);
        const bool verify = world_->mutation() != Mutation::kArrival;
        if (absl::Status status = files.Commit(key, hash, verify); !status.ok()) return status;
        const bool intact = files.IsIntact(key);
        const uint64_t seq = world_->mutation() == Mutation::kEvents ? 0 : saved.seq;
        const auto dropped =
            manager.workers().CommitCheckpoint(as.worker_id, as.lease, {saved.step, hash, {}, seq}, now);
        if (!dropped.ok()) return dropped.status();
        world_->oracle().Accepted("checkpoint", held, newest);
        world_->oracle().Committed(held, saved.step, intact);
        const auto rows = manager.queries().ListCheckpoints(held.job_id);
        if (rows.ok()) files.KeepOnly(key, *rows);
        return There();
      },
      [this, id, step](Runner& uploaded, const absl::StatusOr<There>& there) {
        uploaded.uploading = false;
        absl::Status status = there.status();
        if (there.ok() && step.kind == Step::Kind::kBegin) {
          uploaded.plan->Begun(*there);
        } else {
          status = uploaded.plan->Answered(status);
        }
        NoteMissingEvents(&uploaded, status);
        const worker::Answer answer = worker::JudgeAnswer(status);
        const bool done = uploaded.plan->next().kind == Step::Kind::kDone;
        if (done || answer == worker::Answer::kRefused) {
          uploaded.plan.reset();
          uploaded.waiting.pop_front();
        } else if (answer != worker::Answer::kDone) {
          if (uploaded.waiting.size() > 1) {  // passed over for a newer one
            uploaded.plan.reset();
            uploaded.waiting.pop_front();
          }
          return Retry(id, status);
        }
        Pump(id);
      });
}

void Worker::Finish(const std::string& id, Runner& runner) {
  runner.finishing = true;
  const uint64_t last_seq = runner.refused ? 0 : runner.leads ? runner.events.size() : 0;
  LeasedCall<JobState>(
      id,
      [this, outcome = *runner.outcome, held = runner.lease, leads = runner.leads, last_seq](JobManager& manager,
                                                                                             Now now, const Claim& as) {
        const uint64_t newest = world_->oracle().NewestFence(held.job_id);
        const auto state = manager.workers().Finish(
            {as.worker_id, as.lease, outcome.state, outcome.failure_class, outcome.message, last_seq}, now);
        if (state.ok() && leads) world_->oracle().Finished(held, outcome.state, newest);
        return state;
      },
      [this, id](Runner& finished, const absl::StatusOr<JobState>& state) {
        finished.finishing = false;
        if (state.ok() || absl::IsInvalidArgument(state.status())) {
          runners_.erase(id);
          return;
        }
        NoteMissingEvents(&finished, state.status());
        Retry(id, absl::IsOutOfRange(state.status()) ? absl::UnavailableError("events are missing") : state.status());
      });
}

}  // namespace sink::simulator
