// See attempt_end.h.
#include "coordinator/core/attempt_end.h"

#include "coordinator/core/attempt_rules.h"
#include "coordinator/job/status_macros.h"

namespace sink {

absl::Status LoseLease(CoreContext* context, store::Transaction& rows, Job job, FailureClass failure_class,
                       const std::string& why, bool delay, Now now) {
  const Attempt attempt = RunningAttempt(job, now);
  job.state = JobState::kLost;
  SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  RetryPolicy policy = context->options().retry;
  if (!delay) policy.delay_ms = 0;
  const int64_t wait = EndFailedAttempt(&job, failure_class, why, policy, now);
  SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  return EndAttempt(context, rows, job, AttemptState::kLost, failure_class, why, wait, attempt, now);
}

absl::Status ReturnGrant(CoreContext* context, store::Transaction& rows, Job job, AttemptState ended,
                         const std::string& why, Now now) {
  const Attempt attempt = RunningAttempt(job, now);
  if (job.state == JobState::kDisconnected) {
    job.state = JobState::kLeased;
    SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  }
  ReturnJob(&job, why, now);
  SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  return EndAttempt(context, rows, job, ended, FailureClass::kNone, why, 0, attempt, now);
}

absl::Status FreeOfData(store::Snapshot& rows, Job* job) {
  if (job->data_content.empty()) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(job->id));
  if (checkpoints.empty()) job->data_content.clear();
  return absl::OkStatus();
}

absl::Status EndAttempt(CoreContext* context, store::Transaction& rows, Job job, AttemptState state,
                        FailureClass failure_class, const std::string& message, int64_t delay_ms,
                        const Attempt& attempt, Now now) {
  SINK_ASSIGN_OR_RETURN(Attempt row, rows.GetAttempt(attempt.job_id, attempt.attempt));
  row.state = state;
  row.job_state = job.state;
  row.failure_class = failure_class;
  row.message = message;
  row.finished_ms = now.unix_ms;
  if (delay_ms > 0) context->clock().Delay(job.id, now.steady_ms + delay_ms);
  if (IsFinal(job.state)) context->health().ForgetJob(job.id);
  SINK_RETURN_IF_ERROR(rows.DeleteMembers(job.id));
  if (job.state == JobState::kQueued && !job.data_content.empty()) {
    SINK_RETURN_IF_ERROR(FreeOfData(rows, &job));
    SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  }
  return rows.PutAttempt(row);
}

}  // namespace sink
