// Start, the passing of time, and what the calls of clients and workers share.
#include "coordinator/core/job_manager.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"

namespace sink {

JobManager::JobManager(store::JobStore* store, Options options, Observer* observer)
    : store_(store), options_(std::move(options)), observer_(observer) {}

absl::StatusOr<std::unique_ptr<JobManager>> JobManager::Start(store::JobStore* store, Options options,
                                                              Observer* observer, Now now) {
  uint64_t epoch = 0;
  SINK_RETURN_IF_ERROR(store->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(epoch, rows.GetEpoch());
    SINK_RETURN_IF_ERROR(rows.SetEpoch(++epoch));
    // Retry delays are not measured across a restart.
    SINK_ASSIGN_OR_RETURN(const std::vector<std::string> delayed, rows.DelayedJobs());
    for (const std::string& id : delayed) {
      SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(id));
      job.delayed = false;
      SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
    }
    return absl::OkStatus();
  }));
  std::unique_ptr<JobManager> manager(new JobManager(store, std::move(options), observer));
  manager->next_fence_ = (epoch << 32) + 1;
  manager->clock_.SinceLastTick(now.steady_ms);
  return manager;
}

absl::Status JobManager::Write(const WriteBody& body) {
  const absl::Status status = store_->Write(body);
  if (status.ok()) changes_.Bump();
  return status;
}

JobManager::Due JobManager::WhatIsDue(const Job& job, const std::vector<GangMember>& members, Now now) {
  const LeaseClock::LeaseTimes times = clock_.Lease(job.holder.fence, now.steady_ms);
  const int64_t silent = now.steady_ms - times.heard;
  const int64_t late = 2 * options_.heartbeat_interval_ms;
  if (silent > options_.lease_duration_ms) return Due::kExpired;
  for (const GangMember& member : members) {
    if (member.job_id != job.id) continue;
    if (const Due due = WhatIsDue(member, now); due != Due::kNothing) return due;
  }
  if (job.phase == JobState::kLeased && !times.listed) {
    const int64_t worker_heard = clock_.WorkerSeen(job.holder.worker_id, now.steady_ms).heard;
    if (worker_heard - times.granted > late) return Due::kNeverReceived;
  }
  if (job.max_time_ms > 0 && !job.cancel_requested && job.phase != JobState::kFinalizing &&
      now.steady_ms - times.granted > job.max_time_ms) {
    return Due::kTimedOut;
  }
  return silent > late && job.state != JobState::kDisconnected ? Due::kDisconnected : Due::kNothing;
}

absl::Status JobManager::ApplyDue(store::Transaction& rows, const std::string& job_id, uint64_t fence, Now now,
                                  int* expired) {
  SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(job_id));
  if (!IsLive(job.state) || job.holder.fence != fence) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, MembersOf(rows, job_id));
  switch (WhatIsDue(job, members, now)) {  // again: the worker may have been heard since
    case Due::kNothing:
      return absl::OkStatus();
    case Due::kDisconnected:
      job.state = JobState::kDisconnected;
      return rows.UpdateJob(job);
    case Due::kTimedOut:
      job.cancel_requested = job.timed_out = true;
      return rows.UpdateJob(job);
    case Due::kNeverReceived: {
      const Attempt attempt = RunningAttempt(job, now);
      if (job.state == JobState::kDisconnected) {
        job.state = JobState::kLeased;
        SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
      }
      UndoGrant(&job, now);
      SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
      return EndAttempt(rows, job, AttemptState::kLost, FailureClass::kNone, job.message, 0, attempt, now);
    }
    case Due::kExpired:
      ++*expired;
      return LoseLease(rows, job, FailureClass::kInfra,
                       absl::StrCat("lost its worker ", job.worker, " (lease expired)"), /*delay=*/true, now);
    case Due::kMemberNeverReceived:
      return LoseLease(rows, job, FailureClass::kInfra, "a worker of its gang never received the grant",
                       /*delay=*/false, now);
    case Due::kMemberLost: {
      FailureClass failure_class = FailureClass::kInfra;
      std::string why = "its leader did not end though other ranks had";
      for (const GangMember& member : members) {
        if (!member.ended && WhatIsDue(member, now) == Due::kMemberLost)
          why = absl::StrCat("lost its worker ", member.worker, " (lease expired)");
      }
      SINK_RETURN_IF_ERROR(BlameMember(rows, job.id, &failure_class, &why));
      ++*expired;
      return LoseLease(rows, job, failure_class, why, /*delay=*/true, now);
    }
  }
  return absl::OkStatus();
}

absl::Status JobManager::LoseLease(store::Transaction& rows, Job job, FailureClass failure_class,
                                   const std::string& why, bool delay, Now now) {
  const Attempt attempt = RunningAttempt(job, now);
  job.state = JobState::kLost;
  SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  RetryPolicy policy = options_.retry;
  if (!delay) policy.delay_ms = 0;
  const int64_t wait = EndFailedAttempt(&job, failure_class, why, policy, now);
  SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  return EndAttempt(rows, job, AttemptState::kLost, failure_class, why, wait, attempt, now);
}

absl::Status JobManager::EndAttempt(store::Transaction& rows, Job job, AttemptState state, FailureClass failure_class,
                                    const std::string& message, int64_t delay_ms, const Attempt& attempt, Now now) {
  SINK_ASSIGN_OR_RETURN(Attempt row, rows.GetAttempt(attempt.job_id, attempt.attempt));
  row.state = state;
  row.job_state = job.state;
  row.failure_class = failure_class;
  row.message = message;
  row.finished_ms = now.unix_ms;
  if (delay_ms > 0) clock_.Delay(job.id, now.steady_ms + delay_ms);
  SINK_RETURN_IF_ERROR(rows.DeleteMembers(job.id));
  return rows.PutAttempt(row);
}

absl::Status JobManager::Tick(Now now) {
  const int64_t gap = clock_.SinceLastTick(now.steady_ms);
  if (gap > options_.lease_duration_ms / 2) clock_.Extend(gap);

  std::vector<std::pair<std::string, uint64_t>> due;
  std::vector<std::string> ready;
  SINK_RETURN_IF_ERROR(store_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::vector<Job> live, rows.LiveJobs());
    SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.LiveMembers());
    absl::flat_hash_set<uint64_t> fences;
    for (const GangMember& member : members) fences.insert(member.holder.fence);
    for (const Job& job : live) {
      fences.insert(job.holder.fence);
      if (WhatIsDue(job, members, now) != Due::kNothing) due.emplace_back(job.id, job.holder.fence);
    }
    clock_.KeepOnly(fences);
    SINK_ASSIGN_OR_RETURN(const std::vector<std::string> delayed, rows.DelayedJobs());
    for (const std::string& id : delayed) {
      if (clock_.DelayOver(id, now.steady_ms)) ready.push_back(id);
    }
    return absl::OkStatus();
  }));
  if (due.empty() && ready.empty()) return absl::OkStatus();

  int expired = 0;
  SINK_RETURN_IF_ERROR(Write([&](store::Transaction& rows) -> absl::Status {
    for (const auto& [job_id, fence] : due) SINK_RETURN_IF_ERROR(ApplyDue(rows, job_id, fence, now, &expired));
    for (const std::string& id : ready) {
      SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(id));
      job.delayed = false;
      SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
    }
    return absl::OkStatus();
  }));
  for (int i = 0; i < expired && observer_ != nullptr; ++i) {
    observer_->LeaseExpired();
    observer_->AttemptEnded(AttemptOutcome::kLost);
  }
  return absl::OkStatus();
}

WorkerState JobManager::StateOf(const Worker& worker, Now now) {
  const LeaseClock::WorkerTimes times = clock_.WorkerSeen(worker.id, now.steady_ms);
  const int64_t silent = now.steady_ms - times.heard;
  if (silent > options_.lease_duration_ms) return WorkerState::kGone;
  const bool heard = times.heard_unix_ms != 0 && silent <= 2 * options_.heartbeat_interval_ms;
  return heard ? WorkerState::kConnected : WorkerState::kDisconnected;
}

absl::StatusOr<std::vector<Worker>> JobManager::ListWorkers(Now now) {
  std::vector<Worker> workers;
  std::vector<Job> live;
  std::vector<GangMember> members;
  SINK_RETURN_IF_ERROR(store_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(workers, rows.ListWorkers());
    SINK_ASSIGN_OR_RETURN(live, rows.LiveJobs());
    SINK_ASSIGN_OR_RETURN(members, rows.LiveMembers());
    return absl::OkStatus();
  }));
  for (Worker& worker : workers) {
    worker.state = StateOf(worker, now);
    const LeaseClock::WorkerTimes times = clock_.WorkerSeen(worker.id, now.steady_ms);
    if (times.heard_unix_ms != 0) worker.last_seen_ms = times.heard_unix_ms;
    worker.devices_free = times.devices_free;
    worker.models = models_.Of(worker.id);
    for (const Job& job : live) {
      if (job.holder.worker_id == worker.id) worker.job_ids.push_back(job.id);
    }
    for (const GangMember& member : members) {
      if (member.holder.worker_id == worker.id && !member.ended) worker.job_ids.push_back(member.job_id);
    }
  }
  return workers;
}

absl::StatusOr<Stats> JobManager::GetStats(Now now) {
  Stats stats;
  std::vector<Worker> workers;
  SINK_RETURN_IF_ERROR(store_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(stats.jobs, rows.CountJobs());
    SINK_ASSIGN_OR_RETURN(stats.live, rows.LiveJobs());
    SINK_ASSIGN_OR_RETURN(workers, rows.ListWorkers());
    return absl::OkStatus();
  }));
  for (const Worker& worker : workers) {
    switch (StateOf(worker, now)) {
      case WorkerState::kConnected:
        ++stats.workers_connected;
        break;
      case WorkerState::kDisconnected:
        ++stats.workers_disconnected;
        break;
      case WorkerState::kGone:
        ++stats.workers_gone;
        break;
    }
  }
  return stats;
}

}  // namespace sink
