// See lease_expiry.h.
#include "coordinator/core/lease_expiry.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "coordinator/core/attempt_end.h"
#include "coordinator/core/gang_members.h"
#include "coordinator/core/quarantine.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

constexpr int64_t kRetireEveryMs = 60'000;
constexpr char kMemberWithoutGrant[] = "a worker of its group never got the job";

Loss WithWorker(const std::string& id, const std::string& name) {
  return {.worker_id = id,
          .why = absl::StrCat("its worker ", name, " was not heard from for too long"),
          .delay = true,
          .with_worker = true};
}

}  // namespace

LeaseExpiry::Due LeaseExpiry::WhatIsDue(const Job& job, const std::vector<GangMember>& members, Now now) {
  const LeaseClock::LeaseTimes times = context_->clock().Lease(job.holder.fence, now.steady_ms);
  const int64_t silent = now.steady_ms - times.heard;
  const int64_t late = 2 * context_->options().heartbeat_interval_ms;
  if (silent > context_->options().lease_duration_ms) return Due::kExpired;
  for (const GangMember& member : members) {
    if (const Due due = WhatIsDue(member, now); due != Due::kNothing) return due;
  }
  if (job.phase == JobState::kLeased && !times.listed) {
    const int64_t worker_heard = context_->clock().WorkerSeen(job.holder.worker_id, now.steady_ms).heard;
    if (worker_heard - times.granted > late) return Due::kNeverReceived;
  }
  if (job.max_time_ms > 0 && !job.cancel_requested && job.phase != JobState::kFinalizing &&
      now.steady_ms - times.granted > job.max_time_ms) {
    return Due::kTimedOut;
  }
  return silent > late && job.state != JobState::kDisconnected ? Due::kDisconnected : Due::kNothing;
}

LeaseExpiry::Due LeaseExpiry::WhatIsDue(const GangMember& member, Now now) {
  if (member.ended && member.failure_class == FailureClass::kNone) return Due::kNothing;
  const LeaseClock::LeaseTimes times = context_->clock().Lease(member.holder.fence, now.steady_ms);
  if (now.steady_ms - times.heard > context_->options().lease_duration_ms) return Due::kMemberLost;
  if (times.listed || member.ended) return Due::kNothing;
  const int64_t worker_heard = context_->clock().WorkerSeen(member.holder.worker_id, now.steady_ms).heard;
  return worker_heard - times.granted > 2 * context_->options().heartbeat_interval_ms ? Due::kMemberNeverReceived
                                                                                      : Due::kNothing;
}

const GangMember* LeaseExpiry::MemberWith(Due due, const std::vector<GangMember>& members, Now now) {
  const auto found = std::find_if(members.begin(), members.end(), [&](const GangMember& member) {
    return !member.ended && WhatIsDue(member, now) == due;
  });
  return found == members.end() ? nullptr : &*found;
}

absl::Status LeaseExpiry::ApplyDue(store::Transaction& rows, KnownWorkers* workers, const std::string& job_id,
                                   uint64_t fence, Now now, Ended* ended) {
  SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(job_id));
  if (!IsLive(job.state) || job.holder.fence != fence) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.MembersOf(job_id));
  const Due due = WhatIsDue(job, members, now);  // again: the worker may have been heard since
  switch (due) {
    case Due::kNothing:
      return absl::OkStatus();
    case Due::kDisconnected:
      job.state = JobState::kDisconnected;
      return rows.UpdateJob(job);
    case Due::kTimedOut:
      job.cancel_requested = job.timed_out = true;
      return rows.UpdateJob(job);
    case Due::kMemberNeverReceived:
    case Due::kNeverReceived: {
      const char* const why = due == Due::kNeverReceived ? "its worker never got the job" : kMemberWithoutGrant;
      if (job.phase != JobState::kLeased || job.cancel_requested) {  // it has begun, or must not be queued again
        ++ended->lost;
        const GangMember* const member = MemberWith(due, members, now);
        const Holder& holder = member == nullptr ? job.holder : member->holder;
        return LoseLease(context_, rows, workers, job, {.worker_id = holder.worker_id, .why = why}, now);
      }
      return ReturnGrant(context_, rows, job, AttemptState::kLost, why, now);
    }
    case Due::kExpired:
      ++ended->expired;
      return LoseLease(context_, rows, workers, job, WithWorker(job.holder.worker_id, job.worker), now);
    case Due::kMemberLost: {
      const GangMember* const member = MemberWith(due, members, now);
      Loss loss = {.why = "its leader did not end though other ranks had", .delay = true};
      if (member != nullptr) loss = WithWorker(member->holder.worker_id, member->worker);
      BlameMember(members, &loss.failure_class, &loss.why);
      ++ended->expired;
      return LoseLease(context_, rows, workers, job, loss, now);
    }
  }
  return absl::OkStatus();
}

absl::Status LeaseExpiry::Tick(Now now) {
  const int64_t gap = context_->clock().SinceLastTick(now.steady_ms);
  if (gap > context_->options().lease_duration_ms / 2) context_->clock().Extend(gap);

  std::vector<std::pair<std::string, uint64_t>> due;
  std::vector<std::string> ready, moving;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::vector<Job> live, rows.LiveJobs());
    SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.LiveMembers());
    absl::flat_hash_set<uint64_t> fences;
    Members members_of;
    for (const GangMember& member : members) {
      fences.insert(member.holder.fence);
      members_of[member.job_id].push_back(member);
    }
    for (const Job& job : live) {
      fences.insert(job.holder.fence);
      const auto gang = members_of.find(job.id);
      const Due what = WhatIsDue(job, gang == members_of.end() ? std::vector<GangMember>() : gang->second, now);
      if (what != Due::kNothing) due.emplace_back(job.id, job.holder.fence);
    }
    context_->clock().KeepOnly(fences);
    SINK_ASSIGN_OR_RETURN(const std::vector<std::string> delayed, rows.DelayedJobs());
    for (const std::string& id : delayed) {
      if (context_->clock().DelayOver(id, now.steady_ms)) ready.push_back(id);
    }
    context_->clock().ForgetDelaysOver(now.steady_ms);
    SINK_ASSIGN_OR_RETURN(moving, held_homes_.Look(rows));
    return absl::OkStatus();
  }));
  SINK_RETURN_IF_ERROR(ReleaseWorkers(now));
  if (!moving.empty()) {
    SINK_RETURN_IF_ERROR(context_->WriteLarge([&](store::Transaction& rows) { return HeldHomes::Move(rows, moving); }));
  }
  if (due.empty() && ready.empty()) return RetireWorkers(now);

  Ended ended;
  SINK_RETURN_IF_ERROR(context_->Write([&](store::Transaction& rows) -> absl::Status {
    KnownWorkers workers(&rows);
    for (const auto& [job_id, fence] : due) SINK_RETURN_IF_ERROR(ApplyDue(rows, &workers, job_id, fence, now, &ended));
    for (const std::string& id : ready) {
      SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(id));
      job.delayed = false;
      SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
    }
    return absl::OkStatus();
  }));
  for (int i = 0; i < ended.expired; ++i) context_->listener().LeaseExpired();
  for (int i = 0; i < ended.expired + ended.lost; ++i) context_->listener().AttemptEnded(AttemptOutcome::kLost);
  return RetireWorkers(now);
}

absl::Status LeaseExpiry::ReleaseWorkers(Now now) {
  if (context_->health().EndAvoided(now.steady_ms)) context_->placement().Bump();
  const std::vector<std::string> released = context_->health().Released(now.steady_ms);
  if (released.empty()) return absl::OkStatus();
  return context_->Write([&](store::Transaction& rows) -> absl::Status {
    for (const std::string& id : released) {
      SINK_RETURN_IF_ERROR(LiftQuarantine(rows, id).status());
    }
    return absl::OkStatus();
  });
}

absl::Status LeaseExpiry::RetireWorkers(Now now) {
  if (now.steady_ms - retired_at_ms_ < kRetireEveryMs) return absl::OkStatus();
  retired_at_ms_ = now.steady_ms;
  std::vector<std::string> gone;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::vector<Worker> workers, rows.ListWorkers());
    for (const Worker& worker : workers) {
      const int64_t heard = context_->clock().WorkerSeen(worker.id, now.steady_ms).heard;
      if (now.steady_ms - heard > context_->options().retire_after_ms) gone.push_back(worker.id);
    }
    return absl::OkStatus();
  }));
  if (gone.empty()) return absl::OkStatus();
  std::vector<std::string> retired;
  SINK_RETURN_IF_ERROR(context_->Write([&](store::Transaction& rows) -> absl::Status {
    for (const std::string& id : gone) {
      SINK_ASSIGN_OR_RETURN(const std::vector<Job> jobs, rows.LiveJobsOf(id));
      SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.LiveMembersOf(id));
      if (!jobs.empty() || !members.empty()) continue;          // their leases end first
      SINK_RETURN_IF_ERROR(LiftQuarantine(rows, id).status());  // nobody would when its time is over
      SINK_RETURN_IF_ERROR(rows.RetireWorker(id));
      retired.push_back(id);
    }
    return absl::OkStatus();
  }));
  for (const std::string& id : retired) {
    context_->clock().ForgetWorker(id);
    context_->inventory().Forget(id);
    context_->health().Forget(id);
  }
  return absl::OkStatus();
}

}  // namespace sink
