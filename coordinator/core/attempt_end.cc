// See attempt_end.h.
#include "coordinator/core/attempt_end.h"

#include <vector>

#include "coordinator/core/attempt_rules.h"
#include "coordinator/core/blame.h"
#include "coordinator/core/gang_members.h"
#include "coordinator/job/gang_member.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

constexpr char kLostWithJob[] = "the worker was lost while running it";

}  // namespace

absl::Status LoseLease(CoreContext* context, store::Transaction& rows, KnownWorkers* workers, Job job, const Loss& loss,
                       Now now) {
  SINK_ASSIGN_OR_RETURN(const Attempt attempt, rows.GetAttempt(job.id, job.attempt));
  std::vector<GangMember> members;
  if (job.devices > 1) {
    SINK_ASSIGN_OR_RETURN(members, rows.MembersOf(job.id));
  }
  // Where a member has failed before, it was blamed when it said so, and the others may have been lost for that.
  const bool may_blame = !loss.worker_id.empty() && loss.failure_class == FailureClass::kInfra && !AnyFailed(members);
  Suspect suspect = Suspect::kJob;
  if (may_blame && !HasStepped(job)) {
    SINK_ASSIGN_OR_RETURN(suspect, SuspectOf(context, workers, job, loss.worker_id, now));
  }
  job.state = JobState::kLost;
  SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  RetryPolicy policy = context->options().retry;
  if (!loss.delay) policy.delay_ms = 0;
  const int64_t wait = EndFailedAttempt(&job, loss.failure_class, loss.why, policy, now, suspect);
  SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  if (HasStepped(job)) {
    const int64_t begun_ms = context->clock().GrantedMs(attempt.fence);
    context->health().Stepped(attempt.worker_id, begun_ms);
    for (const GangMember& member : members) context->health().Stepped(member.holder.worker_id, begun_ms);
  }
  if (may_blame && loss.with_worker) {
    const Fault fault = {.worker_id = loss.worker_id, .message = kLostWithJob, .delay_ms = wait, .lost = true};
    SINK_RETURN_IF_ERROR(BlameWorker(context, rows, job, fault, now));
  }
  return EndAttempt(context, rows, job, AttemptState::kLost, loss.failure_class, loss.why, wait, attempt, now);
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
