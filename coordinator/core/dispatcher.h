// Which worker gets which job, and what a grant says. The order of the queue and the places are decided by schedule.h
// and placement.h; this class commits them. Owned by JobManager; any thread.
//
// A grant is made once: its holder has a fence above every earlier one, and a repeated question (same worker, session
// and poll) gets the same grants again.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/core_context.h"
#include "coordinator/core/requests.h"
#include "coordinator/core/schedule.h"
#include "coordinator/job/gang_member.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"

namespace sink {

class Dispatcher {
 public:
  explicit Dispatcher(CoreContext* context) : context_(context) {}

  // NOT_FOUND: the worker is unknown and must register. FAILED_PRECONDITION: another daemon has registered as it since.
  // `nothing_ready` (may be null): set to true when no job is queued that could start on any worker.
  absl::StatusOr<std::vector<Grant>> AcquireLeases(const LeaseRequest& request, Now now, bool* nothing_ready = nullptr);

  // Whether the coordinator's disk has room for what jobs bring; at first it has. Without room no new job is given to
  // anybody, as its checkpoints could not be taken; what was given out before is still delivered.
  void SetRoom(bool room) { context_->SetRoom(room); }

  // Whether the bytes of all checkpoints are out of reach for now; at first they are not. While they are, no job is
  // given out that would go on from one: it would fail wherever it went, and neither it nor its worker would be at
  // fault.
  void SetCheckpointsAway(bool away) { context_->SetCheckpointsAway(away); }

  // The worker's question waits no more, and nobody awaits its answer: it may have died.
  void HasLeft(const std::string& worker_id) { context_->clock().LetRest(worker_id, 0); }

  // Whether it is worth while to ask for workers that wait.
  absl::StatusOr<WorkAhead> LookAhead();
  // The job that AcquireLeases would bring to this question now, without bringing it; empty: none. An oracle holds
  // waiting questions against it.
  absl::StatusOr<std::string> JobFor(const LeaseRequest& request, Now now);
  // Grows when a job may be able to start that was not before.
  const ChangeSignal& placement() const { return context_->placement(); }

 private:
  // The worker that asks, and what it says of itself remembered; `late`: it has asked again since.
  absl::StatusOr<Worker> Admit(store::Snapshot& rows, const LeaseRequest& request, bool* late);
  // It is alive, and may say nothing while its question waits.
  void Hear(const LeaseRequest& request, Now now);
  // What this question got before, as leader or as member; `waiting` as MemberGrants says.
  absl::StatusOr<std::vector<Grant>> RepeatedGrants(store::Snapshot& rows, const LeaseRequest& request,
                                                    const HeldLeases& held, bool* waiting);
  // The grants of members that this question, or its first copy, brings to their worker; `waiting`: some would be
  // brought for the first time, which DeliverMembers does.
  absl::StatusOr<std::vector<Grant>> MemberGrants(store::Snapshot& rows, const LeaseRequest& request,
                                                  const std::vector<GangMember>& members, bool* waiting);
  absl::StatusOr<Schedule> MakeSchedule(store::Snapshot& rows, const Worker& asking, const HeldLeases& held,
                                        const LeaseRequest& request, Now now);
  absl::StatusOr<Job> GrantLease(store::Transaction& rows, const Schedule::Start& start, const Worker& worker,
                                 const LeaseRequest& request, Now now);
  absl::Status AddMembers(store::Transaction& rows, const Job& job, const Schedule::Start& start, Now now);
  absl::StatusOr<Grant> MakeGrant(store::Snapshot& rows, const Job& job);
  absl::StatusOr<Grant> MakeMemberGrant(store::Snapshot& rows, const Job& job, const GangMember& member);

  CoreContext* const context_;
  std::atomic<bool> granting_ = false;  // the last question that looked for work got some
};

}  // namespace sink
