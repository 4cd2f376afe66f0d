// What people may change: submit, cancel, retry, delete. Each method returns only after its effect is durable. Owned by
// JobManager; any thread. The meaning of every call is told in proto/sink/v1/client.proto.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/core_context.h"
#include "coordinator/core/job_queries.h"
#include "coordinator/core/requests.h"

namespace sink {

class ClientCalls {
 public:
  ClientCalls(CoreContext* context, JobQueries* queries) : context_(context), queries_(queries) {}

  // All jobs of the sweep or none. A job that exists is linked, not repeated, and goes on if somebody's cancellation of
  // it is on its way; the sweep's membership becomes exactly `jobs`, all of which it wants. ALREADY_EXISTS: this
  // request_id came with another body. FAILED_PRECONDITION: a stored sweep of this name has no experiment in common
  // with it, and `replace` is not set.
  absl::StatusOr<SubmitResult> Submit(const SubmitRequest& request, Now now);
  // The next three change many jobs in several transactions, so that no other caller waits long. A repetition of
  // `request` changes nothing and gets the answer of the first time (repeated.h). Cancelling a sweep withdraws its wish
  // for its jobs, ended ones too, and one that another sweep wants goes on; what an earlier version of the sweep has
  // left to run ends with it. Cancelling a job by its id ends it for all.
  absl::StatusOr<CancelResult> Cancel(const JobSelection& selection, Now now, const RequestName& request = {});
  // Ids of those that run again: now QUEUED, or, without `from_step`, live ones that are cancelled no more. A job that
  // is named by its id is wanted by its home sweep again. `from_step`: of the checkpoint to go on from, later ones
  // and what was measured after it are forgotten; 0: begin anew. NOT_FOUND when one of the jobs has none of that step:
  // then those before it in the list have been queued.
  absl::StatusOr<std::vector<std::string>> Retry(const JobSelection& selection, Now now,
                                                 std::optional<int64_t> from_step = std::nullopt,
                                                 const RequestName& request = {});

  // The sweep, and the jobs that no other sweep has, with all that they have left; the bytes of their checkpoints are
  // the caller's to remove. In several transactions: what a crash leaves is a sweep with fewer jobs.
  // FAILED_PRECONDITION, with nothing changed, while a job has not ended that no other sweep wants; one that no other
  // wants by the time that it is left is cancelled. ABORTED when the sweep is of another generation than this one, or
  // gets another meanwhile: what somebody has asked for since stays.
  absl::StatusOr<DeleteResult> DeleteSweep(const std::string& sweep, Now now,
                                           std::optional<int64_t> generation = std::nullopt,
                                           const RequestName& request = {});
  // What DeleteSweep has answered this request before; nothing: it is new.
  absl::StatusOr<std::optional<DeleteResult>> DeletedBefore(const RequestName& request);

  // The new priority of those jobs of the sweep that have not ended and are at home there, one that runs for when it is
  // queued again. Returns how many had another one.
  absl::StatusOr<int> SetPriority(const std::string& sweep, int priority);

  // Gives the workers, by name, no new jobs (kCordoned), takes what they run back (kDraining), or lets them go on
  // (kNone). NOT_FOUND, with nothing changed, when one of them is not there.
  absl::Status HoldWorkers(const std::vector<std::string>& names, WorkerHold hold, const std::string& reason);

 private:
  CoreContext* const context_;
  JobQueries* const queries_;
};

}  // namespace sink
