// See desk.h.
#include "tests/simulator/desk.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/core/holds.h"
#include "coordinator/core/schedule.h"
#include "coordinator/core/undelivered.h"
#include "coordinator/job/status_macros.h"
#include "tests/simulator/world.h"

namespace sink::simulator {
namespace {

constexpr int kThreads = 2;
constexpr int64_t kSlice = 200 * kMs;
constexpr int64_t kMostOff = 400 * kMs;             // a thread is off its processor
constexpr int64_t kSlack = 2 * kSecond;             // a question is answered so long after its time at the latest
constexpr int64_t kLongestUnnoticed = 5 * kSecond;  // a job waits at most, where a worker's question waits for it

}  // namespace

Desk::Desk(World* world, JobManager* manager, SimulatedStore* store)
    : world_(world), manager_(manager), store_(store), queue_({.looks = kThreads}) {
  After(kSlice, &Desk::Slice);
}

QuestionQueue::Time Desk::Time() const {
  return QuestionQueue::Time(std::chrono::microseconds(world_->timeline().now()));
}

void Desk::After(int64_t delay, void (Desk::*what)()) {
  world_->timeline().After(delay, [this, what, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) world_->Serve([this, what](JobManager&, Now) { (this->*what)(); });
  });
}

void Desk::Slice() {
  After(kSlice, &Desk::Slice);
  Wake();
}

void Desk::Notice() {
  if (noticed_ || queue_.in_round() || manager_->dispatcher().placement().version() == queue_.version()) return;
  noticed_ = true;
  const auto pause = std::chrono::duration_cast<std::chrono::microseconds>(queue_.not_before() - Time());
  After(std::max<int64_t>(pause.count(), world_->random().Between(0, kMs)), &Desk::Wake);
}

void Desk::Wake() {
  noticed_ = false;
  for (const QuestionQueue::QuestionPtr& question : queue_.Overdue(Time())) AnswerWithNothing(question);
  if (!queue_.PlacementChanged(manager_->dispatcher().placement().version(), Time())) return;
  absl::StatusOr<WorkAhead> ahead = manager_->dispatcher().LookAhead();
  BeginLooks(queue_.LookedAhead(std::move(ahead), Time()).looks);
}

void Desk::Ask(const QuestionPtr& question) {
  open_.push_back(question);
  const QuestionQueue::Effects effects = queue_.Asked(question, Time());
  BeginLooks(effects.looks);
  if (effects.dismissed != nullptr) AnswerWithNothing(effects.dismissed);
}

void Desk::Withdraw(const QuestionPtr& question) {
  const QuestionQueue::Effects effects = queue_.Withdrawn(question);
  if (effects.left) manager_->dispatcher().HasLeft(question->request.worker_id);
  if (effects.answer) Answer(question, absl::CancelledError("the worker has left"));
}

void Desk::Hear(const std::string& worker_id, int devices_free) {
  const QuestionQueue::Effects effects = queue_.Heard(worker_id, devices_free);
  if (effects.dismissed != nullptr) AnswerWithNothing(effects.dismissed);
}

void Desk::BeginLooks(int looks) {
  for (; looks > 0; --looks) After(world_->random().Between(0, kMs), &Desk::RunLooks);
}

void Desk::RunLooks() {
  if (threads_ == kThreads) return;  // one of them comes to it
  ++threads_;
  while (auto look = queue_.BeginLook(Time())) LookAt(*std::move(look));
  --threads_;
}

void Desk::LookAt(QuestionQueue::Look look) {
  Oracle& oracle = world_->oracle();
  const LeaseRequest& request = look.question->request;
  const int64_t began = world_->timeline().now();
  look.seen = world_->mutation() == Mutation::kWakeup ? std::numeric_limits<uint64_t>::max()
                                                      : manager_->dispatcher().placement().version();
  const Oracle::Fences known = oracle.newest_fences();
  const Grants grants = manager_->dispatcher().AcquireLeases(request, world_->CoordinatorNow(), &look.nothing_ready);
  look.got = !grants.ok() || !grants->empty();
  if (grants.ok()) {
    for (const Grant& grant : *grants) {
      oracle.Granted(grant, known);
      if (grant.resume_from &&
          !world_->files().IsComplete({grant.lease.job_id, grant.resume_from->fence, grant.resume_from->step})) {
        oracle.Fail("the files of a checkpoint that a grant names are gone");
      }
    }
  }
  store_->Rest(world_->random().Chance(0.3) ? kMostOff : kMs);
  const QuestionQueue::Effects effects = queue_.Looked(look, Time());
  BeginLooks(effects.looks);
  if (effects.dismissed != nullptr) AnswerWithNothing(effects.dismissed);
  if (!effects.answer) {
    return world_->Note(absl::StrCat(request.worker_id, "'s question ", request.poll, " waits"));
  }
  const auto asked = std::chrono::duration_cast<std::chrono::microseconds>(look.question->asked().time_since_epoch());
  Answer(look.question, grants, began - asked.count());
}

void Desk::Answer(const QuestionQueue::QuestionPtr& question, const Grants& grants, int64_t waited) {
  const auto answered = std::static_pointer_cast<Question>(question);
  std::erase(open_, answered);
  answered->answer(grants, waited);
}

void Desk::Check(int64_t frozen_until) {
  const int64_t now = world_->timeline().now();
  bool awaited = false;
  for (const QuestionPtr& question : open_) {
    if (!question->awaited) continue;
    awaited = true;
    const auto over =
        std::chrono::duration_cast<std::chrono::microseconds>((question->asked() + question->wait).time_since_epoch());
    if (now > std::max<int64_t>(over.count(), frozen_until) + kSlack) {
      world_->oracle().Fail(absl::StrCat(question->request.worker_id, "'s question is not answered in its time"));
    }
  }
  if (!awaited) return;
  const absl::StatusOr<std::vector<std::string>> jobs = JobsThatCouldStart();
  if (!jobs.ok()) return world_->oracle().Fail(absl::StrCat("the queue cannot be read: ", jobs.status().message()));
  for (size_t i = 0; i < open_.size(); ++i) {
    Question& question = *open_[i];
    const std::string& job = (*jobs)[i];
    if (job != question.ready_job) question.ready_since = now;
    question.ready_job = job;
    if (job.empty()) continue;
    question.ready_since = std::max(question.ready_since, frozen_until);
    if (now - question.ready_since < kLongestUnnoticed) continue;
    world_->oracle().Fail(
        absl::StrCat(question.request.worker_id, "'s question waits though job ", job, " could start there"));
  }
}

absl::StatusOr<std::vector<std::string>> Desk::JobsThatCouldStart() const {
  std::vector<std::string> jobs(open_.size());
  const auto find = [&](const auto& job_for) -> absl::Status {
    for (size_t i = 0; i < open_.size(); ++i) {
      if (!open_[i]->awaited) continue;
      SINK_ASSIGN_OR_RETURN(jobs[i], job_for(open_[i]->request));
    }
    return absl::OkStatus();
  };
  if (world_->plan().gangs) {
    SINK_RETURN_IF_ERROR(find([this](const LeaseRequest& request) { return GangFor(request); }));
  } else {
    SINK_RETURN_IF_ERROR(store_->Read([&](store::Snapshot& rows) -> absl::Status {
      SINK_ASSIGN_OR_RETURN(const std::vector<store::QueueHead> heads, rows.QueueHeads());
      return find([&](const LeaseRequest& request) { return JobFor(rows, heads, request); });
    }));
  }
  return jobs;
}

absl::StatusOr<std::string> Desk::JobFor(store::Snapshot& rows, const std::vector<store::QueueHead>& heads,
                                         const LeaseRequest& request) const {
  if (heads.empty()) return "";
  const auto worker = rows.GetWorker(request.worker_id);
  if (!worker.ok() || worker->session != request.session || worker->hold != WorkerHold::kNone) return "";
  SINK_ASSIGN_OR_RETURN(const HeldLeases held, HeldLeasesOf(rows, worker->id));
  int free = worker->devices;
  for (const Job& job : held.jobs) free -= job.phase == JobState::kFinalizing ? 0 : job.devices;
  if (std::min(free, request.devices_free) < 1 || Undelivered(held.jobs).IsBehind(*worker)) return "";
  for (const store::QueueHead& head : heads) {
    SINK_ASSIGN_OR_RETURN(const Sweep sweep, rows.GetSweep(head.sweep));
    SINK_ASSIGN_OR_RETURN(const std::string why, WhyHeld(rows, sweep));
    if (!why.empty()) continue;
    SINK_ASSIGN_OR_RETURN(const std::vector<Attempt> attempts, rows.ListAttempts(head.job_id));
    // One that has failed there may be kept for another worker.
    const bool was_here = std::any_of(attempts.begin(), attempts.end(),
                                      [&](const Attempt& attempt) { return attempt.worker_id == worker->id; });
    if (was_here && world_->plan().workers > 1) continue;
    return absl::StrCat(head.job_id.substr(0, 8), " after ", attempts.size(), " attempts");
  }
  return "";
}

absl::StatusOr<std::string> Desk::GangFor(const LeaseRequest& request) const {
  const Now now = world_->CoordinatorNow();
  SINK_ASSIGN_OR_RETURN(const std::vector<sink::Worker> workers, manager_->queries().ListWorkers(now));
  bool known = false;  // a restored coordinator may not know it yet
  for (const sink::Worker& worker : workers) {
    known |= worker.id == request.worker_id && worker.session == request.session;
    if (worker.state != WorkerState::kConnected) return "";
  }
  if (!known) return "";
  return manager_->dispatcher().JobFor(request, now);
}

}  // namespace sink::simulator
