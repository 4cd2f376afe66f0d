// Jobs on several workers. Each worker beside the leader is a member with a lease of its own: it is heard, cancelled
// and expired as a leader is, but it ends nothing by itself. The attempt ends when the leader says so, or when a member
// is lost or has failed and the leader has not said so for the length of a lease.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/core/job_manager.h"
#include "coordinator/job/status_macros.h"

namespace sink {

absl::StatusOr<std::vector<GangMember>> JobManager::MembersOf(store::Snapshot& rows, const std::string& job_id) {
  SINK_ASSIGN_OR_RETURN(std::vector<GangMember> members, rows.LiveMembers());
  std::erase_if(members, [&](const GangMember& member) { return member.job_id != job_id; });
  return members;
}

absl::StatusOr<std::optional<JobManager::HeldMember>> JobManager::CurrentMember(store::Snapshot& rows,
                                                                                const std::string& worker_id,
                                                                                const Lease& lease) {
  SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.LiveMembers());
  for (const GangMember& member : members) {
    if (member.job_id != lease.job_id || member.holder.worker_id != worker_id) continue;
    SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(member.job_id));
    if (member.lease(job.attempt) == lease) return HeldMember{std::move(job), member};
  }
  return std::nullopt;
}

absl::Status JobManager::AddMembers(store::Transaction& rows, const Job& job, const Schedule::Start& start, Now now) {
  int rank = start.devices;
  for (const auto& [worker, devices] : start.others) {
    GangMember member;
    member.job_id = job.id;
    member.first_rank = rank;
    member.devices = devices;
    member.worker = worker.name;
    member.holder = {next_fence_++, options_.new_lease_id(), worker.id, worker.session, 0};
    SINK_RETURN_IF_ERROR(rows.PutMember(member));
    clock_.Lease(member.holder.fence, now.steady_ms);
    rank += devices;
  }
  return absl::OkStatus();
}

absl::StatusOr<Grant> JobManager::MakeMemberGrant(store::Snapshot& rows, const Job& job, const GangMember& member) {
  SINK_ASSIGN_OR_RETURN(Grant grant, MakeGrant(rows, job));
  grant.lease = member.lease(job.attempt);
  grant.devices = member.devices;
  grant.first_rank = member.first_rank;
  grant.resume_from.reset();  // rank 0 reads it for all
  return grant;
}

absl::StatusOr<std::vector<Grant>> JobManager::MemberGrants(store::Snapshot& rows, const LeaseRequest& request,
                                                            bool* waiting) {
  std::vector<Grant> grants;
  SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.LiveMembers());
  for (const GangMember& member : members) {
    const Holder& holder = member.holder;
    if (holder.worker_id != request.worker_id || holder.session != request.session || member.ended) continue;
    *waiting |= holder.poll == 0;
    if (holder.poll != request.poll) continue;
    SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(member.job_id));
    SINK_ASSIGN_OR_RETURN(Grant grant, MakeMemberGrant(rows, job, member));
    grants.push_back(std::move(grant));
  }
  return grants;
}

absl::Status JobManager::DeliverMembers(store::Transaction& rows, const LeaseRequest& request) {
  SINK_ASSIGN_OR_RETURN(std::vector<GangMember> members, rows.LiveMembers());
  for (GangMember& member : members) {
    Holder& holder = member.holder;
    if (holder.worker_id != request.worker_id || holder.session != request.session || holder.poll != 0) continue;
    holder.poll = request.poll;
    SINK_RETURN_IF_ERROR(rows.PutMember(member));
  }
  return absl::OkStatus();
}

absl::Status JobManager::FinishMember(store::Transaction& rows, GangMember member, const FinishRequest& request,
                                      const std::string& message) {
  if (member.ended) return absl::OkStatus();  // a repetition
  member.ended = true;
  if (request.outcome == JobState::kFailed) {
    member.failure_class = request.failure_class == FailureClass::kNone ? FailureClass::kInfra : request.failure_class;
    member.message = message;
  }
  return rows.PutMember(member);
}

absl::Status JobManager::BlameMember(store::Snapshot& rows, const std::string& job_id, FailureClass* failure_class,
                                     std::string* message) {
  if (*failure_class != FailureClass::kInfra) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, MembersOf(rows, job_id));
  for (const GangMember& member : members) {
    if (member.failure_class == FailureClass::kNone) continue;
    const std::string said = absl::StrCat("on worker ", member.worker, ": ", member.message);
    if (member.failure_class != FailureClass::kInfra) {  // a cause of its own
      *failure_class = member.failure_class;
      *message = said;
      break;
    }
    absl::StrAppend(message, "; ", said);
  }
  return absl::OkStatus();
}

JobManager::Due JobManager::WhatIsDue(const GangMember& member, Now now) {
  if (member.ended && member.failure_class == FailureClass::kNone) return Due::kNothing;
  const LeaseClock::LeaseTimes times = clock_.Lease(member.holder.fence, now.steady_ms);
  if (now.steady_ms - times.heard > options_.lease_duration_ms) return Due::kMemberLost;
  if (times.listed || member.ended) return Due::kNothing;
  const int64_t worker_heard = clock_.WorkerSeen(member.holder.worker_id, now.steady_ms).heard;
  return worker_heard - times.granted > 2 * options_.heartbeat_interval_ms ? Due::kMemberNeverReceived : Due::kNothing;
}

}  // namespace sink
