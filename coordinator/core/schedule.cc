#include "coordinator/core/schedule.h"

#include <algorithm>
#include <queue>

#include "absl/container/flat_hash_map.h"
#include "coordinator/core/holds.h"
#include "coordinator/core/undelivered.h"
#include "coordinator/job/status_macros.h"

namespace sink {

bool CouldHold(const std::vector<const Worker*>& workers, const Job& job) {
  absl::flat_hash_map<std::string, int> devices;  // by kind
  for (const Worker* worker : workers) devices[worker->device_kind] += worker->devices / job.group() * job.group();
  return std::any_of(devices.begin(), devices.end(), [&](const auto& kind) { return kind.second >= job.devices; });
}

absl::StatusOr<std::vector<HeldDevices>> DevicesHeld(store::Snapshot& rows, const std::vector<Job>& live) {
  std::vector<HeldDevices> held;
  SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.LiveMembers());
  absl::flat_hash_map<std::string, int> others;  // devices that a job's members hold
  absl::flat_hash_map<std::string, const Job*> jobs;
  for (const Job& job : live) jobs[job.id] = &job;
  for (const GangMember& member : members) {
    others[member.job_id] += member.devices;
    if (member.ended) continue;
    const auto job = jobs.find(member.job_id);
    held.push_back({member.holder.worker_id, member.devices, member.holder.fence,
                    job == jobs.end() ? 0 : job->second->max_time_ms});
  }
  for (const Job& job : live) {
    if (job.phase == JobState::kFinalizing) continue;
    held.push_back({job.holder.worker_id, job.devices - others[job.id], job.holder.fence, job.max_time_ms});
  }
  return held;
}

absl::StatusOr<HeldLeases> HeldLeasesOf(store::Snapshot& rows, const std::string& worker_id) {
  HeldLeases held;
  SINK_ASSIGN_OR_RETURN(held.jobs, rows.LiveJobsOf(worker_id));
  SINK_ASSIGN_OR_RETURN(held.members, rows.LiveMembersOf(worker_id));
  return held;
}

absl::StatusOr<Schedule> Schedule::Make(store::Snapshot& rows, Offer asking, const HeldLeases& held, Offers offers,
                                        GrantedAt granted_at, Inventory* inventory, WorkerHealth* health,
                                        bool checkpoints_away, int64_t now_ms) {
  int free = asking.worker.devices;
  for (const Job& job : held.jobs) {
    if (job.phase == JobState::kFinalizing) continue;
    free -= job.devices;
    if (job.devices == 1) continue;
    SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> others, rows.MembersOf(job.id));
    for (const GangMember& member : others) free += member.devices;
  }
  for (const GangMember& member : held.members) free -= member.ended ? 0 : member.devices;
  free = std::clamp(asking.devices_free, 0, std::max(0, free));
  if (Undelivered(held.jobs).IsBehind(asking.worker)) free = 0;
  return Schedule(std::move(asking), free, std::move(offers), std::move(granted_at), inventory, health,
                  checkpoints_away, now_ms);
}

bool Schedule::FitsHere(const Job& job) const {
  if (free_ / job.group() * job.group() < job.devices) return false;
  return inventory_->Has(NeedsOf(job), asking_.worker.id);
}

absl::StatusOr<bool> Schedule::AnybodyHas(store::Snapshot& rows, const Needs& needs) {
  if (needs.model.empty() && needs.set.empty()) return true;
  if (const auto known = anybody_has_.find(needs); known != anybody_has_.end()) return known->second;
  bool anybody = inventory_->Has(needs, asking_.worker.id);
  if (!anybody) {
    SINK_RETURN_IF_ERROR(MeetWorkers(rows));
    const std::vector<bool> having = inventory_->Having(needs, worker_ids_);
    anybody = std::find(having.begin(), having.end(), true) != having.end();
  }
  anybody_has_.emplace(needs, anybody);
  return anybody;
}

absl::StatusOr<bool> Schedule::IsForAnother(store::Snapshot& rows, const Job& job) {
  if (job.attempt == 0 || health_->AvoidedMs(job.id, asking_.worker.id, now_ms_) == 0) return false;
  SINK_RETURN_IF_ERROR(MeetWorkers(rows));
  const std::vector<bool> nodes = NodesFor(job);
  for (size_t i = 0; i < worker_ids_.size(); ++i) {
    if (worker_ids_[i] == asking_.worker.id) return !nodes[i];
  }
  return false;
}

absl::Status Schedule::MeetWorkers(store::Snapshot& rows) {
  if (workers_) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(workers_, offers_(rows));
  for (const Offer& offer : *workers_) worker_ids_.push_back(offer.worker.id);
  return absl::OkStatus();
}

absl::Status Schedule::MeetFleet(store::Snapshot& rows) {
  SINK_RETURN_IF_ERROR(MeetWorkers(rows));
  const std::vector<Offer>& offers = *workers_;
  SINK_ASSIGN_OR_RETURN(const std::vector<Job> live, rows.LiveJobs());
  SINK_ASSIGN_OR_RETURN(const std::vector<HeldDevices> all_held, DevicesHeld(rows, live));
  const Undelivered undelivered(live);
  absl::flat_hash_map<std::string, std::vector<const HeldDevices*>> held_by;
  for (const HeldDevices& held : all_held) held_by[held.worker_id].push_back(&held);
  std::vector<Node> nodes;
  size_t place = offers.size();
  for (size_t i = 0; i < offers.size(); ++i) {
    const Worker& worker = offers[i].worker;
    const bool asks = worker.id == asking_.worker.id;
    if (!asks && undelivered.IsBehind(worker)) {
      // Nobody knows for how long, so nothing waits for its devices either.
      nodes.push_back({worker.device_kind, 0, 0, {}});
      continue;
    }
    Node node{worker.device_kind, worker.devices, worker.devices, {}};
    for (const HeldDevices* held : held_by[worker.id]) {
      node.free -= held->devices;
      node.running.push_back(
          {held->devices, held->max_time_ms > 0 ? granted_at_(held->fence) + held->max_time_ms : Node::kNever});
    }
    // What was given here is among what the worker holds by now, and what it said came before.
    const int said = asks ? free_ : std::clamp(offers[i].devices_free, 0, std::max(0, node.free));
    // What the worker does not offer though no live job holds it will be free some time.
    if (node.free > said) node.running.push_back({node.free - said, Node::kNever});
    node.free = said;
    if (asks) place = i;
    nodes.push_back(std::move(node));
  }
  fleet_.emplace(Fleet{place, Placer(std::move(nodes), now_ms_)});
  for (const Wanted& elsewhere : elsewhere_) fleet_->placer.Place(elsewhere, place);
  return absl::OkStatus();
}

std::vector<bool> Schedule::NodesFor(const Job& job) const {
  Needs needs = NeedsOf(job);
  const bool has_needs = !needs.model.empty() || !needs.set.empty();
  if (!has_needs && job.attempt == 0) return {};
  const bool is_gang = job.devices > job.group();
  // All ranks of a gang read the same data.
  if (needs.content.empty() && is_gang) needs.content = inventory_->ContentOf(asking_.worker.id, needs.set);
  std::vector<bool> nodes = inventory_->Having(needs, worker_ids_);
  // A place in a gang comes to a worker unasked, so one that has not yet said what it has must not get one. Nothing
  // starves: every question says it, whatever the worker's version, and a worker with a device free asks as soon as it
  // is registered or finds the coordinator again. That question starts the gang, with the others that have said.
  for (size_t i = 0; is_gang && has_needs && i < worker_ids_.size(); ++i)
    nodes[i] = nodes[i] && inventory_->HasSaid(worker_ids_[i]);
  if (job.attempt == 0) return nodes;
  std::vector<bool> others = nodes;
  std::vector<const Worker*> able;
  for (size_t i = 0; i < worker_ids_.size(); ++i) {
    others[i] = others[i] && health_->AvoidedMs(job.id, worker_ids_[i], now_ms_) == 0;
    if (others[i]) able.push_back(&(*workers_)[i].worker);
  }
  return CouldHold(able, job) ? others : nodes;
}

absl::StatusOr<std::optional<Schedule::Start>> Schedule::Next(store::Snapshot& rows) {
  if (is_over()) return std::nullopt;
  // Mostly the job that goes before all others starts, however many queues there are.
  SINK_ASSIGN_OR_RETURN(const std::optional<store::QueueHead> front, rows.QueueFront());
  if (!front) return std::nullopt;
  SINK_ASSIGN_OR_RETURN(std::optional<Start> start, Try(rows, *front));
  if (start || is_over()) return start;
  SINK_ASSIGN_OR_RETURN(std::vector<store::QueueHead> all, rows.QueueHeads());
  const auto goes_after = [](const store::QueueHead& a, const store::QueueHead& b) { return b.GoesBefore(a); };
  std::priority_queue heads(goes_after, std::move(all));
  while (!heads.empty()) {
    const store::QueueHead head = heads.top();
    heads.pop();
    SINK_ASSIGN_OR_RETURN(start, Try(rows, head));
    if (start || is_over()) return start;
    SINK_ASSIGN_OR_RETURN(const bool passes, MayPass(rows, head));
    if (!passes) continue;
    SINK_ASSIGN_OR_RETURN(const std::optional<store::QueueHead> next, rows.NextInQueue(head));
    if (next) heads.push(*next);
  }
  return std::nullopt;
}

absl::StatusOr<bool> Schedule::MayPass(store::Snapshot& rows, const store::QueueHead& head) {
  if (!passed_over_.contains(head.job_id) || passed_over_.size() > kMostPassedOver) return false;
  SINK_ASSIGN_OR_RETURN(const Sweep sweep, rows.GetSweep(head.sweep));
  // Where few of a sweep may run at once, those behind would take the places of those that wait.
  if (sweep.policy.canary) return false;
  if (sweep.max_parallel == 0) return true;
  SINK_ASSIGN_OR_RETURN(const int live, rows.CountLive(sweep.name));
  return live + passed_over_of_[sweep.name] < sweep.max_parallel;
}

absl::StatusOr<std::optional<Schedule::Start>> Schedule::Try(store::Snapshot& rows, const store::QueueHead& head) {
  if (!settled_.insert(head.job_id).second) return std::nullopt;
  SINK_ASSIGN_OR_RETURN(const Sweep sweep, rows.GetSweep(head.sweep));
  SINK_ASSIGN_OR_RETURN(const std::string held, WhyHeld(rows, sweep));
  if (!held.empty()) return std::nullopt;
  if (free_ == 0) {  // what others have is then for them to find out
    found_ready_ = true;
    return std::nullopt;
  }
  SINK_ASSIGN_OR_RETURN(const bool anybody, AnybodyHas(rows, NeedsOf(head)));
  if (!anybody) return std::nullopt;
  Start start;
  SINK_ASSIGN_OR_RETURN(start.job, rows.GetJob(head.job_id));
  const Job& job = start.job;
  if (checkpoints_away_) {
    SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(job.id));
    if (!checkpoints.empty()) {
      PassOver(head);
      return std::nullopt;
    }
  }
  found_ready_ = true;
  SINK_ASSIGN_OR_RETURN(const bool for_another, IsForAnother(rows, job));
  if (for_another) {
    PassOver(head);
    // It goes before those behind it: what it waits for on the others is not theirs.
    const Wanted elsewhere = {job.devices, job.group(), job.max_time_ms, NodesFor(job)};
    if (fleet_)
      fleet_->placer.Place(elsewhere, fleet_->asking);
    else
      elsewhere_.push_back(elsewhere);
    return std::nullopt;
  }
  if (!fleet_ && FitsHere(job)) {
    start.devices = job.devices;
    free_ -= job.devices;
    return start;
  }
  if (!fleet_) SINK_RETURN_IF_ERROR(MeetFleet(rows));
  const Wanted wanted = {job.devices, job.group(), job.max_time_ms, NodesFor(job)};
  for (const Share& share : fleet_->placer.Place(wanted, fleet_->asking)) {
    if (share.node == fleet_->asking)
      start.devices = share.devices;
    else
      start.others.emplace_back((*workers_)[share.node].worker, share.devices);
  }
  if (start.devices == 0) return std::nullopt;
  return start;
}

}  // namespace sink
