// The rules of retrying.
#include "coordinator/core/attempt_rules.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace sink {
namespace {

void Enqueue(Job* job, Now now) {
  job->state = job->phase = JobState::kQueued;
  job->holder = {};
  job->progress.tokens_per_second = 0;  // it trains no more
  job->queued_ms = now.unix_ms;
}

}  // namespace

void BeginAttempt(Job* job, const Worker& worker, const Holder& holder, int64_t resume_step, Now now) {
  job->state = job->phase = JobState::kLeased;
  ++job->attempt;
  job->worker = worker.name;
  job->holder = holder;
  job->failure_class = FailureClass::kNone;
  job->message.clear();
  job->event_cursor = 0;
  GoBack(job, resume_step);
  job->progress.step = job->start_step = resume_step;
  if (job->started_ms == 0) job->started_ms = now.unix_ms;
}

int64_t EndFailedAttempt(Job* job, FailureClass failure_class, const std::string& message, const RetryPolicy& policy,
                         Now now, Suspect suspect) {
  if (failure_class == FailureClass::kNone) failure_class = FailureClass::kInfra;
  if (job->cancel_requested) {
    if (job->timed_out) {
      EndJob(job, JobState::kFailed, FailureClass::kUser,
             absl::StrCat("ran longer than max_time (", job->max_time_ms / 1000, " s)"), now);
    } else {
      EndJob(job, JobState::kCancelled, FailureClass::kNone,
             job->stop_message.empty() ? "cancelled" : job->stop_message, now);
    }
    return 0;
  }
  const bool progressed = HasStepped(*job);
  if (progressed) job->restarts_without_progress = 0;
  int& failures = job->failures.of(failure_class);
  const bool is_guarded = !progressed && suspect == Suspect::kJob;
  if (is_guarded && job->restarts_without_progress >= kMaxRestartsWithoutProgress) {
    EndJob(job, JobState::kFailed, failure_class,
           absl::StrCat("gave up after ", kMaxRestartsWithoutProgress,
                        " restarts in a row without a training step; the last failure: ", message),
           now);
    return 0;
  }
  if (suspect != Suspect::kKnownWorker) {
    if (failures >= job->retry_budget.of(failure_class)) {
      EndJob(job, JobState::kFailed, failure_class, message, now);
      return 0;
    }
    ++failures;
  }
  if (is_guarded) ++job->restarts_without_progress;
  Enqueue(job, now);
  job->failure_class = failure_class;
  job->message = message;
  if (failure_class != FailureClass::kInfra) return 0;
  const int doublings = std::clamp(failures - 1, 0, 20);
  const int64_t delay = std::min(policy.delay_ms << doublings, policy.max_delay_ms);
  job->delayed = delay > 0;
  return delay;
}

bool HasStepped(const Job& job) { return job.progress.step > job.start_step; }

void EndJob(Job* job, JobState state, FailureClass failure_class, const std::string& message, Now now) {
  job->state = state;
  job->holder = {};
  job->delayed = false;
  job->failure_class = failure_class;
  job->message = message;
  job->progress.tokens_per_second = 0;
  job->finished_ms = now.unix_ms;
}

void ReturnJob(Job* job, const std::string& message, Now now) {
  if (HasStepped(*job)) job->restarts_without_progress = 0;
  Enqueue(job, now);
  job->failure_class = FailureClass::kNone;
  job->message = message;
}

void GoBack(Job* job, int64_t step) {
  Progress& progress = job->progress;
  progress.tokens_per_second = 0;
  if (step >= progress.step) return;
  // Steps may differ in tokens; the trainer says how many these were.
  const double share = static_cast<double>(step) / static_cast<double>(progress.step);
  progress.tokens = std::llround(share * static_cast<double>(progress.tokens));
  progress.step = step;
}

void BeginGeneration(Job* job, Now now) {
  Enqueue(job, now);
  ++job->generation;
  job->failure_class = FailureClass::kNone;
  job->message.clear();
  job->failures = {};
  job->restarts_without_progress = 0;
  job->cancel_requested = job->timed_out = false;
  job->stop_message.clear();
  job->started_ms = job->finished_ms = 0;
}

Attempt RunningAttempt(const Job& job, Now now) {
  Attempt attempt;
  attempt.job_id = job.id;
  attempt.attempt = job.attempt;
  attempt.generation = job.generation;
  attempt.fence = job.holder.fence;
  attempt.lease_id = job.holder.lease_id;
  attempt.worker_id = job.holder.worker_id;
  attempt.worker = job.worker;
  attempt.started_ms = now.unix_ms;
  return attempt;
}

}  // namespace sink
