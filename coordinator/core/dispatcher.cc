// See dispatcher.h.
#include "coordinator/core/dispatcher.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/core/attempt_rules.h"
#include "coordinator/core/current_lease.h"
#include "coordinator/core/gang_members.h"
#include "coordinator/core/holds.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

constexpr size_t kMaxGrants = 64;  // of one answer

}  // namespace

absl::StatusOr<std::vector<Grant>> Dispatcher::AcquireLeases(const LeaseRequest& request, Now now,
                                                             bool* nothing_ready) {
  std::vector<Grant> grants;
  bool late = false;
  const bool room = context_->has_room();
  if (!room && nothing_ready != nullptr) *nothing_ready = true;
  // Most questions find no work, and those write nothing. But where the last one got a job this one most likely will
  // as well, and to look first would be half of what a grant costs; where it gets none it has waited for nothing.
  const bool look_first = !granting_;
  if (look_first) {
    bool work = false;
    SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
      SINK_ASSIGN_OR_RETURN(const Worker worker, Admit(rows, request, &late));
      if (late) return absl::OkStatus();
      SINK_ASSIGN_OR_RETURN(const HeldLeases held, HeldLeasesOf(rows, worker.id));
      SINK_ASSIGN_OR_RETURN(grants, RepeatedGrants(rows, request, held, &work));
      if (!grants.empty() || work || !room || worker.hold != WorkerHold::kNone) return absl::OkStatus();
      SINK_ASSIGN_OR_RETURN(Schedule schedule, MakeSchedule(rows, worker, held, request, now));
      SINK_ASSIGN_OR_RETURN(const std::optional<Schedule::Start> next, schedule.Next(rows));
      work = next.has_value();
      if (nothing_ready != nullptr) *nothing_ready = !schedule.found_ready();
      return absl::OkStatus();
    }));
    if (late) return grants;
    Hear(request, now);
    if (!work) return grants;
  }

  std::vector<int64_t> queued_ms;
  const absl::Status granted = context_->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const Worker worker, Admit(rows, request, &late));
    if (late) return absl::OkStatus();
    SINK_ASSIGN_OR_RETURN(HeldLeases held, HeldLeasesOf(rows, worker.id));
    SINK_RETURN_IF_ERROR(DeliverMembers(rows, request, &held.members));
    bool waiting = false;
    SINK_ASSIGN_OR_RETURN(grants, RepeatedGrants(rows, request, held, &waiting));
    if (!grants.empty() || !room || worker.hold != WorkerHold::kNone) return absl::OkStatus();
    SINK_ASSIGN_OR_RETURN(Schedule schedule, MakeSchedule(rows, worker, held, request, now));
    while (grants.size() < kMaxGrants) {
      SINK_ASSIGN_OR_RETURN(const std::optional<Schedule::Start> next, schedule.Next(rows));
      if (!next) break;
      SINK_ASSIGN_OR_RETURN(const Job job, GrantLease(rows, *next, worker, request, now));
      SINK_ASSIGN_OR_RETURN(Grant grant, MakeGrant(rows, job));
      queued_ms.push_back(job.queued_ms);
      grants.push_back(std::move(grant));
    }
    if (nothing_ready != nullptr) *nothing_ready = grants.empty() && !schedule.found_ready();
    return absl::OkStatus();
  });
  granting_ = granted.ok() && !queued_ms.empty();
  if (!granted.ok()) return granted;
  if (!look_first && !late) Hear(request, now);
  for (int64_t since : queued_ms) {
    context_->listener().JobDispatched(static_cast<double>(std::max<int64_t>(0, now.unix_ms - since)) / 1000);
  }
  return grants;
}

absl::StatusOr<Worker> Dispatcher::Admit(store::Snapshot& rows, const LeaseRequest& request, bool* late) {
  SINK_ASSIGN_OR_RETURN(Worker worker, CurrentWorker(rows, request.worker_id, request.session));
  // Only of a worker that is there is anything remembered.
  *late = !context_->clock().AdmitPoll(request.worker_id, request.session, request.poll);
  if (!*late)
    context_->inventory().Hear(request.worker_id, {request.models, request.sets, request.incomplete_sets, request.files,
                                                   request.incomplete_models});
  return worker;
}

void Dispatcher::Hear(const LeaseRequest& request, Now now) {
  context_->HearWorker(request.worker_id, request.devices_free, now);
  context_->clock().LetRest(request.worker_id, request.wait_ms > 0 ? context_->options().rest_ms : 0);
}

absl::StatusOr<WorkAhead> Dispatcher::LookAhead() {
  WorkAhead ahead;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.LiveMembers());
    for (const GangMember& member : members) {
      if (member.holder.poll == 0) ahead.members.insert(member.holder.worker_id);
    }
    if (!context_->has_room()) return absl::OkStatus();
    SINK_ASSIGN_OR_RETURN(const std::vector<store::QueueHead> heads, rows.QueueHeads());
    for (size_t i = 0; i < heads.size() && !ahead.ready; ++i) {
      SINK_ASSIGN_OR_RETURN(const Sweep sweep, rows.GetSweep(heads[i].sweep));
      SINK_ASSIGN_OR_RETURN(const std::string held, WhyHeld(rows, sweep));
      ahead.ready = held.empty();
    }
    return absl::OkStatus();
  }));
  return ahead;
}

absl::StatusOr<std::string> Dispatcher::JobFor(const LeaseRequest& request, Now now) {
  std::string job;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const Worker worker, CurrentWorker(rows, request.worker_id, request.session));
    SINK_ASSIGN_OR_RETURN(const HeldLeases held, HeldLeasesOf(rows, worker.id));
    for (const GangMember& member : held.members) {
      const Holder& holder = member.holder;
      if (holder.session == request.session && !member.ended && holder.poll == 0) job = member.job_id;
    }
    if (!job.empty() || !context_->has_room() || worker.hold != WorkerHold::kNone) return absl::OkStatus();
    SINK_ASSIGN_OR_RETURN(Schedule schedule, MakeSchedule(rows, worker, held, request, now));
    SINK_ASSIGN_OR_RETURN(const std::optional<Schedule::Start> next, schedule.Next(rows));
    if (next) job = next->job.id;
    return absl::OkStatus();
  }));
  return job;
}

absl::StatusOr<std::vector<Grant>> Dispatcher::RepeatedGrants(store::Snapshot& rows, const LeaseRequest& request,
                                                              const HeldLeases& held, bool* waiting) {
  SINK_ASSIGN_OR_RETURN(std::vector<Grant> grants, MemberGrants(rows, request, held.members, waiting));
  for (const Job& job : held.jobs) {
    if (job.holder.session != request.session || job.holder.poll != request.poll) continue;
    SINK_ASSIGN_OR_RETURN(Grant grant, MakeGrant(rows, job));
    grants.push_back(std::move(grant));
  }
  return grants;
}

absl::StatusOr<std::vector<Grant>> Dispatcher::MemberGrants(store::Snapshot& rows, const LeaseRequest& request,
                                                            const std::vector<GangMember>& members, bool* waiting) {
  std::vector<Grant> grants;
  for (const GangMember& member : members) {
    const Holder& holder = member.holder;
    if (holder.session != request.session || member.ended) continue;
    *waiting |= holder.poll == 0;
    if (holder.poll != request.poll) continue;
    SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(member.job_id));
    SINK_ASSIGN_OR_RETURN(Grant grant, MakeMemberGrant(rows, job, member));
    grants.push_back(std::move(grant));
  }
  return grants;
}

absl::StatusOr<Schedule> Dispatcher::MakeSchedule(store::Snapshot& rows, const Worker& asking, const HeldLeases& held,
                                                  const LeaseRequest& request, Now now) {
  const Offer offer{asking, request.devices_free};
  const auto offers = [this, offer, now](store::Snapshot& all_rows) -> absl::StatusOr<std::vector<Offer>> {
    SINK_ASSIGN_OR_RETURN(const std::vector<Worker> workers, all_rows.ListWorkers());
    std::vector<Offer> connected;
    for (const Worker& worker : workers) {
      if (worker.id == offer.worker.id)
        connected.push_back(offer);
      else if (worker.hold == WorkerHold::kNone && context_->StateOf(worker, now) == WorkerState::kConnected)
        connected.push_back({worker, context_->clock().WorkerSeen(worker.id, now.steady_ms).devices_free});
    }
    return connected;
  };
  const auto granted_at = [this, now](uint64_t fence) { return context_->clock().Lease(fence, now.steady_ms).granted; };
  return Schedule::Make(rows, offer, held, offers, granted_at, &context_->inventory(), &context_->health(),
                        context_->checkpoints_away(), now.steady_ms);
}

absl::StatusOr<Job> Dispatcher::GrantLease(store::Transaction& rows, const Schedule::Start& start, const Worker& worker,
                                           const LeaseRequest& request, Now now) {
  Job job = start.job;
  SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(job.id));
  const Holder holder = context_->NewHolder(worker.id, request.session, request.poll);
  BeginAttempt(&job, worker, holder, checkpoints.empty() ? 0 : checkpoints.front().step, now);
  // From its first step on it is of what this worker has; a checkpoint keeps it to that.
  if (checkpoints.empty()) job.data_content = context_->inventory().ContentOf(worker.id, job.data_set);
  job.rendezvous = job.devices > 1 ? absl::StrCat(worker.host, ":", request.rendezvous_port) : "";
  SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  SINK_RETURN_IF_ERROR(rows.PutAttempt(RunningAttempt(job, now)));
  SINK_RETURN_IF_ERROR(AddMembers(rows, job, start, now));
  context_->clock().Grant(holder.fence, now.steady_ms);
  return job;
}

absl::Status Dispatcher::AddMembers(store::Transaction& rows, const Job& job, const Schedule::Start& start, Now now) {
  int rank = start.devices;
  for (const auto& [worker, devices] : start.others) {
    GangMember member;
    member.job_id = job.id;
    member.first_rank = rank;
    member.devices = devices;
    member.worker = worker.name;
    member.holder = context_->NewHolder(worker.id, worker.session, 0);
    SINK_RETURN_IF_ERROR(rows.PutMember(member));
    context_->clock().Grant(member.holder.fence, now.steady_ms);
    rank += devices;
  }
  return absl::OkStatus();
}

absl::StatusOr<Grant> Dispatcher::MakeGrant(store::Snapshot& rows, const Job& job) {
  Grant grant;
  grant.lease = job.lease();
  grant.devices = job.devices;
  if (job.devices > 1) {
    SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.MembersOf(job.id));
    for (const GangMember& member : members) grant.devices -= member.devices;
  }
  grant.stall_ms = job.stall_ms;
  grant.data_content = job.data_content;
  grant.world_size = job.devices;
  grant.rendezvous = job.rendezvous;
  grant.token = job.holder.lease_id;
  SINK_ASSIGN_OR_RETURN(grant.config_json, rows.GetConfig(job.id));
  SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(job.id));
  if (!checkpoints.empty()) grant.resume_from = checkpoints.front();
  return grant;
}

absl::StatusOr<Grant> Dispatcher::MakeMemberGrant(store::Snapshot& rows, const Job& job, const GangMember& member) {
  SINK_ASSIGN_OR_RETURN(Grant grant, MakeGrant(rows, job));
  grant.lease = member.lease(job.attempt);
  grant.devices = member.devices;
  grant.first_rank = member.first_rank;
  grant.resume_from.reset();  // rank 0 reads it for all
  return grant;
}

}  // namespace sink
