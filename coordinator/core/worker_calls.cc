// See worker_calls.h.
#include "coordinator/core/worker_calls.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/core/attempt_end.h"
#include "coordinator/core/attempt_rules.h"
#include "coordinator/core/blame.h"
#include "coordinator/core/clean_text.h"
#include "coordinator/core/current_lease.h"
#include "coordinator/core/early_stop.h"
#include "coordinator/core/event_effects.h"
#include "coordinator/core/gang_members.h"
#include "coordinator/core/kept_checkpoints.h"
#include "coordinator/core/quarantine.h"
#include "coordinator/errors/error_detail.h"
#include "coordinator/job/status_macros.h"
#include "proto/pipe/other_rank.h"

namespace sink {
namespace {

absl::Status MissingEvents(uint64_t expected) {
  return MissingEventsError(expected, absl::StrCat("expected ", expected, ": events from there on are missing"));
}

AttemptOutcome OutcomeOf(FailureClass failure_class) {
  switch (failure_class) {
    case FailureClass::kOutOfMemory:
      return AttemptOutcome::kOutOfMemory;
    case FailureClass::kNan:
      return AttemptOutcome::kNan;
    case FailureClass::kUser:
      return AttemptOutcome::kUser;
    case FailureClass::kNone:
    case FailureClass::kInfra:
      break;
  }
  return AttemptOutcome::kInfra;
}

}  // namespace

// One from beyond the end would push the real ones out.
absl::Status WorkerCalls::CheckStep(const Job& job, int64_t step) {
  if (job.progress.max_steps == 0 || step <= job.progress.max_steps) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("step: ", step, " is beyond the last of the job's ", job.progress.max_steps, " steps"));
}

absl::StatusOr<std::vector<Lease>> WorkerCalls::Register(const RegisterRequest& request, Now now) {
  std::vector<Lease> keep;
  int lost = 0;
  Worker worker;
  worker.id = request.worker_id;
  worker.name = request.name;
  worker.address = request.address;
  worker.host = request.host;
  worker.session = request.session;
  worker.devices = request.devices;
  worker.device_kind = request.device_kind;
  worker.version = request.version;
  worker.last_seen_ms = now.unix_ms;
  SINK_RETURN_IF_ERROR(context_->Write([&](store::Transaction& rows) -> absl::Status {
    const absl::StatusOr<Worker> before = rows.GetWorker(request.worker_id);
    if (before.ok() && IsEarlierSession(request.session, before->session)) return StaleSession(*before);
    const bool same_daemon = before.ok() && before->session == request.session;
    SINK_RETURN_IF_ERROR(rows.PutWorker(worker));
    if (!same_daemon) {  // one that starts anew may have been mended, and may have other data
      context_->inventory().Forget(worker.id);
      const bool said_goodbye = context_->clock().WorkerSeen(worker.id, now.steady_ms).left;
      if (context_->health().StartedAnew(worker.id, said_goodbye)) {
        SINK_ASSIGN_OR_RETURN(const bool lifted, LiftQuarantine(rows, worker.id));
        if (lifted) context_->health().Forget(worker.id);
      }
    }
    const auto is_held = [&](const Lease& lease) {
      return std::find(request.held.begin(), request.held.end(), lease) != request.held.end();
    };
    // A daemon forgets no lease, so what the same one does not name was granted after it had sent this: a call that it
    // has given up and repeated may come late. Should its worker not have the grant after all, the lease runs out.
    const auto is_lost = [&](const Holder& holder) { return !same_daemon || holder.session != request.session; };
    const Loss loss = {
        .worker_id = worker.id,
        .why = absl::StrCat("worker ", request.name, " was started again and no longer had the job"),
        .with_worker = !same_daemon,
    };
    KnownWorkers workers(&rows);
    SINK_ASSIGN_OR_RETURN(std::vector<Job> live, rows.LiveJobsOf(request.worker_id));
    for (Job& job : live) {
      if (is_held(job.lease())) {
        keep.push_back(job.lease());
        job.holder.PassTo(request.session);
        SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
      } else if (is_lost(job.holder)) {
        SINK_RETURN_IF_ERROR(LoseLease(context_, rows, &workers, job, loss, now));
        ++lost;
      }
    }
    SINK_ASSIGN_OR_RETURN(std::vector<GangMember> members, rows.LiveMembersOf(request.worker_id));
    for (GangMember& member : members) {
      if (member.ended) continue;
      SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(member.job_id));
      if (is_held(member.lease(job.attempt))) {
        keep.push_back(member.lease(job.attempt));
        member.holder.PassTo(request.session);
        SINK_RETURN_IF_ERROR(rows.PutMember(member));
      } else if (is_lost(member.holder)) {
        SINK_RETURN_IF_ERROR(LoseLease(context_, rows, &workers, job, loss, now));
        ++lost;
      }
    }
    return absl::OkStatus();
  }));
  for (; lost > 0; --lost) context_->listener().AttemptEnded(AttemptOutcome::kLost);
  for (const Lease& lease : keep) context_->clock().Hear(lease.fence, now.steady_ms);
  context_->clock().SetSession(request.worker_id, request.session);
  context_->HearWorker(request.worker_id, request.devices, now);
  context_->clock().LetRest(request.worker_id, 0);
  return keep;
}

absl::Status WorkerCalls::LoseWorker(const std::string& worker_id, Now now) {
  int lost = 0;
  SINK_RETURN_IF_ERROR(context_->Write([&](store::Transaction& rows) -> absl::Status {
    const Loss loss = {.worker_id = worker_id, .why = "its worker was revoked"};
    KnownWorkers workers(&rows);
    SINK_ASSIGN_OR_RETURN(std::vector<Job> live, rows.LiveJobsOf(worker_id));
    SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.LiveMembersOf(worker_id));
    for (const GangMember& member : members) {
      if (member.ended) continue;
      SINK_ASSIGN_OR_RETURN(live.emplace_back(), rows.GetJob(member.job_id));
    }
    for (Job& job : live) {
      SINK_RETURN_IF_ERROR(LoseLease(context_, rows, &workers, job, loss, now));
      ++lost;
    }
    return rows.RetireWorker(worker_id);  // a question of its that waits gets nothing any more
  }));
  context_->clock().ForgetWorker(worker_id);
  context_->inventory().Forget(worker_id);
  context_->health().Forget(worker_id);
  for (; lost > 0; --lost) context_->listener().AttemptEnded(AttemptOutcome::kLost);
  return absl::OkStatus();
}

absl::StatusOr<HeartbeatResult> WorkerCalls::Heartbeat(const HeartbeatRequest& request, Now now) {
  HeartbeatResult result;
  // Most workers of a large fleet may be idle, and the store has nothing to tell them.
  if (request.held.empty() && context_->clock().KnowsSession(request.worker_id, request.session)) {
    Hear(request, now);
    return result;
  }
  std::vector<Lease> valid;
  std::vector<HeldJob> changed;
  bool draining = false;
  auto wants_change = [](const Job& job, const HeldJob& held) {
    return job.state == JobState::kDisconnected ||
           (held.phase == JobState::kFinalizing && job.phase != JobState::kFinalizing);
  };
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const Worker worker, CurrentWorker(rows, request.worker_id, request.session));
    draining = worker.hold == WorkerHold::kDraining;
    for (const HeldJob& held : request.held) {
      absl::StatusOr<Job> job = CurrentJob(rows, request.worker_id, held.lease);
      if (IsStaleLease(job.status())) {
        SINK_ASSIGN_OR_RETURN(const std::optional<HeldMember> place,
                              CurrentMember(rows, request.worker_id, held.lease));
        (place ? valid : result.stale).push_back(held.lease);
        if (place && place->job.cancel_requested) result.cancel.push_back(held.lease);
        continue;
      }
      SINK_RETURN_IF_ERROR(job.status());
      valid.push_back(held.lease);
      if (job->cancel_requested) result.cancel.push_back(held.lease);
      if (wants_change(*job, held)) changed.push_back(held);
    }
    return absl::OkStatus();
  }));
  for (const Lease& lease : valid) context_->clock().Hear(lease.fence, now.steady_ms);
  context_->clock().LearnSession(request.worker_id, request.session);
  Hear(request, now);
  if (!request.held.empty()) context_->clock().LetRest(request.worker_id, 0);
  if (draining) result.hand_back = valid;
  if (changed.empty()) return result;

  SINK_RETURN_IF_ERROR(context_->Write([&](store::Transaction& rows) -> absl::Status {
    for (const HeldJob& held : changed) {
      absl::StatusOr<Job> job = CurrentJob(rows, request.worker_id, held.lease);
      if (IsStaleLease(job.status())) continue;  // the next heartbeat will say so
      SINK_RETURN_IF_ERROR(job.status());
      if (!wants_change(*job, held)) continue;
      if (held.phase == JobState::kFinalizing) job->phase = JobState::kFinalizing;
      job->state = job->phase;
      SINK_RETURN_IF_ERROR(rows.UpdateJob(*job));
    }
    return absl::OkStatus();
  }));
  return result;
}

void WorkerCalls::Hear(const HeartbeatRequest& request, Now now) {
  if (request.leaving) return context_->WorkerLeaves(request.worker_id, request.session, now);
  context_->HearWorker(request.worker_id, request.devices_free, now);
  context_->clock().HearGpus(request.worker_id, request.gpus);
}

absl::StatusOr<uint64_t> WorkerCalls::Report(const std::string& worker_id, const Lease& lease,
                                             const std::vector<Event>& events, Now now, bool* cancel) {
  const std::vector<ParsedEvent> parsed = ParseEvents(events);
  const bool has_heatmaps = HasHeatmaps(parsed);
  uint64_t cursor = 0;
  SINK_RETURN_IF_ERROR(context_->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(Job job, CurrentJob(rows, worker_id, lease));
    const JobState state = job.state;
    const uint64_t old_cursor = job.event_cursor;
    EventEffects effects;
    std::vector<std::string> maps;
    if (has_heatmaps) {
      SINK_ASSIGN_OR_RETURN(maps, rows.HeatmapNames(job.id));
    }
    if (!ApplyEvents(parsed, maps, &job, &effects)) return MissingEvents(old_cursor + 1);
    cursor = job.event_cursor;
    SINK_ASSIGN_OR_RETURN(const bool stopped, JudgeRungs(rows, effects.metrics, &job));
    if (cancel != nullptr) *cancel = job.cancel_requested;
    if (effects.said_hello && job.phase == JobState::kLeased) job.phase = JobState::kRunning;
    job.state = job.phase;  // also back from DISCONNECTED
    if (job.state != state || stopped) {
      SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
    } else if (cursor != old_cursor) {
      SINK_RETURN_IF_ERROR(rows.UpdateProgress(job));
    }
    if (!effects.metrics.empty()) SINK_RETURN_IF_ERROR(rows.PutMetrics(job.id, effects.metrics));
    for (const Heatmap& heatmap : effects.heatmaps) SINK_RETURN_IF_ERROR(rows.PutHeatmap(job.id, heatmap));
    if (effects.logs.empty()) return absl::OkStatus();
    return rows.AppendLogs(job.id, effects.logs);
  }));
  context_->clock().Hear(lease.fence, now.steady_ms);
  return cursor;
}

absl::StatusOr<JobState> WorkerCalls::Finish(const FinishRequest& request, Now now) {
  if (!IsFinal(request.outcome)) {
    return absl::InvalidArgumentError("an attempt's outcome is SUCCEEDED, FAILED or CANCELLED");
  }
  const Lease& lease = request.lease;
  std::string message = CleanText(request.message, 4 * kMaxTextBytes);
  const std::string undelivered = request.undelivered.empty() ? "" : "; " + CleanText(request.undelivered);
  message += undelivered;
  JobState answer = JobState::kQueued;
  std::optional<AttemptOutcome> outcome;  // none for a repetition
  SINK_RETURN_IF_ERROR(context_->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::optional<HeldMember> place, CurrentMember(rows, request.worker_id, lease));
    if (place) {
      answer = place->job.state;
      if (request.outcome != JobState::kCancelled || place->job.cancel_requested ||
          place->job.phase != JobState::kLeased) {
        SINK_ASSIGN_OR_RETURN(const bool to_blame, FinishMember(rows, place->member, request, message));
        if (!to_blame) return absl::OkStatus();
        return BlameWorker(context_, rows, place->job, {.worker_id = request.worker_id, .message = message}, now);
      }
      // Rank 0, which has not begun, would wait for these ranks in vain: the whole gang gives the job back.
      answer = JobState::kQueued;
      outcome = AttemptOutcome::kReturned;
      return ReturnGrant(context_, rows, place->job, AttemptState::kCancelled, message, now);
    }
    // A repetition gets the answer of the first time.
    absl::StatusOr<Attempt> attempt = rows.GetAttempt(lease.job_id, lease.attempt);
    if (absl::IsNotFound(attempt.status())) return StaleLease(lease);
    SINK_RETURN_IF_ERROR(attempt.status());
    const bool ended_by_worker = attempt->state != AttemptState::kRunning && attempt->state != AttemptState::kLost;
    if (ended_by_worker && attempt->fence == lease.fence && attempt->lease_id == lease.id &&
        attempt->worker_id == request.worker_id) {
      answer = attempt->job_state;
      return absl::OkStatus();
    }
    SINK_ASSIGN_OR_RETURN(Job job, CurrentJob(rows, request.worker_id, lease));
    if (job.event_cursor < request.last_seq) return MissingEvents(job.event_cursor + 1);
    if (job.state != JobState::kFinalizing) {
      job.state = job.phase = JobState::kFinalizing;
      SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
    }
    std::vector<GangMember> members;
    if (job.devices > 1) {
      SINK_ASSIGN_OR_RETURN(members, rows.MembersOf(job.id));
    }
    // Where a rank of another worker is the cause, that worker was blamed when it said so, or nobody is. Ranks of one
    // worker alone speak of each other.
    const bool by_itself = !AnyFailed(members) && (members.empty() || !pipe::IsOfAnotherRank(message));
    int64_t delay = 0;
    AttemptState ended = AttemptState::kFailed;
    FailureClass failure_class = FailureClass::kNone;
    if (request.outcome == JobState::kSucceeded) {
      ended = AttemptState::kSucceeded;
      outcome = AttemptOutcome::kSucceeded;
      EndJob(&job, JobState::kSucceeded, FailureClass::kNone, "", now);
    } else if (request.outcome == JobState::kCancelled && job.cancel_requested) {
      EndFailedAttempt(&job, FailureClass::kInfra, message, context_->options().retry, now);
      job.message += undelivered;
      ended = AttemptState::kCancelled;
      outcome = AttemptOutcome::kCancelled;
      if (job.state == JobState::kFailed) {  // for max_time, which no worker knows
        ended = AttemptState::kFailed;
        failure_class = job.failure_class;
        outcome = OutcomeOf(failure_class);
        message = job.message;
      }
    } else {
      failure_class = request.outcome == JobState::kCancelled || request.failure_class == FailureClass::kNone
                          ? FailureClass::kInfra
                          : request.failure_class;
      BlameMember(members, &failure_class, &message);
      // CANCELLED that nobody asked for: the worker gave the job back, unless a member has failed by its own cause.
      if (request.outcome == JobState::kCancelled && failure_class == FailureClass::kInfra) {
        ended = AttemptState::kCancelled;
        failure_class = FailureClass::kNone;
        outcome = AttemptOutcome::kReturned;
        ReturnJob(&job, message, now);
      } else {
        Suspect suspect = Suspect::kJob;
        if (by_itself && failure_class == FailureClass::kInfra && !HasStepped(job)) {
          KnownWorkers workers(&rows);
          SINK_ASSIGN_OR_RETURN(suspect, SuspectOf(context_, &workers, job, request.worker_id, now));
        }
        delay = EndFailedAttempt(&job, failure_class, message, context_->options().retry, now, suspect);
        outcome = OutcomeOf(failure_class);
      }
    }
    answer = job.state;
    SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
    std::vector<std::string> workers = {request.worker_id};
    for (const GangMember& member : members) workers.push_back(member.holder.worker_id);
    for (const std::string& worker : workers) {
      if (HasStepped(job)) context_->health().Stepped(worker, context_->clock().GrantedMs(attempt->fence));
      if (outcome == AttemptOutcome::kSucceeded) context_->health().Succeeded(worker);
    }
    if (outcome == AttemptOutcome::kInfra) {
      const Fault fault = {.worker_id = request.worker_id, .message = message, .delay_ms = delay};
      if (by_itself) SINK_RETURN_IF_ERROR(BlameWorker(context_, rows, job, fault, now));
      // What a member said came before the pause was known.
      context_->health().Prolong(job.id, now.steady_ms + delay, now.steady_ms);
    }
    return EndAttempt(context_, rows, job, ended, failure_class, message, delay, *attempt, now);
  }));
  if (outcome) context_->listener().AttemptEnded(*outcome);
  return answer;
}

absl::StatusOr<Job> WorkerCalls::CheckLease(const std::string& worker_id, const Lease& lease, Now now) {
  Job job;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(job, CurrentJob(rows, worker_id, lease));
    return absl::OkStatus();
  }));
  context_->clock().Hear(lease.fence, now.steady_ms);
  return job;
}

absl::StatusOr<std::vector<Checkpoint>> WorkerCalls::CommitCheckpoint(const std::string& worker_id, const Lease& lease,
                                                                      const CheckpointCommit& commit, Now now) {
  std::vector<Checkpoint> dropped;
  std::vector<GangMember> members;
  uint64_t bytes = 0;
  SINK_RETURN_IF_ERROR(context_->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const Job job, CurrentJob(rows, worker_id, lease));
    if (job.devices > 1) {
      SINK_ASSIGN_OR_RETURN(members, rows.MembersOf(job.id));
    }
    SINK_RETURN_IF_ERROR(CheckStep(job, commit.step));
    if (job.event_cursor < commit.events_seq) {
      return EventsFirstError(job.event_cursor + 1,
                              absl::StrCat("events up to ", commit.events_seq, " are not durable yet, only ",
                                           job.event_cursor, ": report them first"));
    }
    SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(job.id));
    for (const Checkpoint& old : checkpoints) {
      if (old.step != commit.step) continue;
      if (old.manifest_hash == commit.manifest_hash) return absl::OkStatus();  // a repetition, or the same bytes again
      dropped.push_back(old);
    }
    Checkpoint checkpoint{job.id,       commit.step, job.attempt, lease.fence, commit.manifest_hash,
                          commit.files, now.unix_ms};
    for (const CheckpointFile& file : commit.files) bytes += file.size;
    SINK_ASSIGN_OR_RETURN(checkpoint.validation_loss, LossOfCheckpoint(rows, job.id, commit.step, checkpoints));
    SINK_RETURN_IF_ERROR(rows.PutCheckpoint(checkpoint));
    const int keep = job.checkpoints_kept > 0 ? job.checkpoints_kept : context_->options().checkpoints_kept;
    SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> surplus, Surplus(rows, job, keep));
    for (const Checkpoint& old : surplus) {
      SINK_RETURN_IF_ERROR(rows.DeleteCheckpoint(job.id, old.step));
      dropped.push_back(old);
    }
    return absl::OkStatus();
  }));
  context_->clock().Hear(lease.fence, now.steady_ms);
  context_->health().Saved(worker_id);
  for (const GangMember& member : members) context_->health().Saved(member.holder.worker_id);
  if (bytes > 0) context_->listener().CheckpointCommitted(bytes);
  return dropped;
}

}  // namespace sink
