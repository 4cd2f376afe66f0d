// What workers may do with the jobs that they hold. Every call that changes a job checks the lease and has its effect
// in one transaction, and returns only after that is durable. Owned by JobManager; any thread. The meaning of every
// call is told in proto/sink/v1/worker.proto.
//
// A call of an unknown worker is NOT_FOUND: register. A call with an older daemon's session is FAILED_PRECONDITION. A
// lease that is not current is StaleLeaseError.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/core_context.h"
#include "coordinator/core/requests.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"

namespace sink {

class WorkerCalls {
 public:
  explicit WorkerCalls(CoreContext* context) : context_(context) {}

  absl::StatusOr<std::vector<Lease>> Register(const RegisterRequest& request, Now now);  // leases to keep
  absl::StatusOr<HeartbeatResult> Heartbeat(const HeartbeatRequest& request, Now now);
  // Returns the highest durable sequence number. MissingEventsError: events before these have not come. `cancel` (may
  // be null): whether the job is to stop, as heartbeats say too.
  absl::StatusOr<uint64_t> Report(const std::string& worker_id, const Lease& lease, const std::vector<Event>& events,
                                  Now now, bool* cancel = nullptr);
  // Returns the job's state now. MissingEventsError: events up to last_seq have not all come.
  absl::StatusOr<JobState> Finish(const FinishRequest& request, Now now);
  // The job, when the lease is current: for the steps of a checkpoint's transfer, which change no row.
  absl::StatusOr<Job> CheckLease(const std::string& worker_id, const Lease& lease, Now now);
  // INVALID_ARGUMENT when the job has no such step.
  static absl::Status CheckStep(const Job& job, int64_t step);
  // FAILED_PRECONDITION until every event up to `events_seq` is durable. Returns the checkpoints that this one replaces
  // or pushes out. Their rows are gone; whoever keeps files removes those that have none.
  absl::StatusOr<std::vector<Checkpoint>> CommitCheckpoint(const std::string& worker_id, const Lease& lease,
                                                           const CheckpointCommit& commit, Now now);
  // The worker may not call any more: what it holds goes to others at once, and it is retired.
  absl::Status LoseWorker(const std::string& worker_id, Now now);

  const CoreOptions& options() const { return context_->options(); }

 private:
  // What a heartbeat of the worker's session says of the worker itself.
  void Hear(const HeartbeatRequest& request, Now now);

  CoreContext* const context_;
};

}  // namespace sink
