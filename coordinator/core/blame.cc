// See blame.h.
#include "coordinator/core/blame.h"

#include "absl/strings/str_cat.h"
#include "coordinator/core/schedule.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

enum class LossTells { kNothing, kLittle, kMuch };  // of the machine

LossTells WhatItsLossTells(CoreContext* context, const std::string& worker_id, Now now) {
  const LeaseClock::WorkerTimes times = context->clock().WorkerSeen(worker_id, now.steady_ms);
  if (times.left || times.heard_unix_ms == 0) return LossTells::kNothing;
  const int64_t late_ms = 2 * context->options().heartbeat_interval_ms;
  return context->clock().FellSilentWithAnother(worker_id, late_ms, now.steady_ms) ? LossTells::kLittle
                                                                                   : LossTells::kMuch;
}

}  // namespace

absl::StatusOr<const std::vector<Worker>*> KnownWorkers::List() {
  if (!workers_) {
    SINK_ASSIGN_OR_RETURN(workers_, rows_.ListWorkers());
  }
  return &*workers_;
}

absl::StatusOr<Suspect> SuspectOf(CoreContext* context, KnownWorkers* workers, const Job& job,
                                  const std::string& worker_id, Now now) {
  SINK_ASSIGN_OR_RETURN(const std::vector<Worker>* const all, workers->List());
  const Needs needs = NeedsOf(job);
  std::vector<const Worker*> others;
  for (const Worker& worker : *all) {
    if (worker.id != worker_id && worker.hold == WorkerHold::kNone &&
        context->StateOf(worker, now) == WorkerState::kConnected && context->inventory().Has(needs, worker.id) &&
        !context->health().HasFailedOn(job.id, worker.id))
      others.push_back(&worker);
  }
  if (!CouldHold(others, job)) return Suspect::kJob;
  return context->health().HasFailedOn(job.id, worker_id) ? Suspect::kKnownWorker : Suspect::kWorker;
}

absl::Status BlameWorker(CoreContext* context, store::Transaction& rows, const Job& job, const Fault& fault, Now now) {
  const std::string& worker_id = fault.worker_id;
  // One that has said meanwhile that it lacks the job's model or set gets no more such jobs; and what fails while it is
  // being stopped may fail for that.
  if (job.cancel_requested || !context->inventory().Has(NeedsOf(job), worker_id)) return absl::OkStatus();
  const LossTells tells = fault.lost ? WhatItsLossTells(context, worker_id, now) : LossTells::kMuch;
  if (tells == LossTells::kNothing) return absl::OkStatus();
  WorkerHealth& health = context->health();
  const bool late = HasStepped(job);
  const bool counts = !late && tells == LossTells::kMuch;
  health.Avoid(job.id, worker_id, counts, fault.lost, now.steady_ms + fault.delay_ms);
  if (tells == LossTells::kLittle) return absl::OkStatus();
  if (late) {  // where another worker saw it fail so, too, it may be the job's own fault
    SINK_ASSIGN_OR_RETURN(const std::vector<Attempt> attempts, rows.ListAttempts(job.id));
    for (const Attempt& attempt : attempts) {
      if (attempt.generation == job.generation && attempt.worker_id != worker_id &&
          attempt.failure_class == FailureClass::kInfra)
        return absl::OkStatus();
    }
  }
  SINK_ASSIGN_OR_RETURN(const Attempt attempt, rows.GetAttempt(job.id, job.attempt));
  const int64_t begun_ms = context->clock().GrantedMs(attempt.fence);
  const bool too_often = fault.lost ? health.Lost(worker_id, job.id, late, begun_ms, now.steady_ms)
                         : late     ? health.FailedLate(worker_id, job.id, begun_ms, now.steady_ms)
                                    : health.Failed(worker_id, job.id, now.steady_ms);
  if (!too_often) return absl::OkStatus();
  const absl::StatusOr<Worker> worker = rows.GetWorker(worker_id);
  if (!worker.ok() || worker->hold != WorkerHold::kNone) return absl::OkStatus();
  return rows.HoldWorker(
      worker_id, WorkerHold::kQuarantined,
      absl::StrCat("one job after the other failed there before a ", late ? "checkpoint was safe" : "training step",
                   "; the last: ", fault.message.substr(0, fault.message.find('\n'))));
}

}  // namespace sink
