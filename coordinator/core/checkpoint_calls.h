// What people and damage do to checkpoints: one that was found damaged, or that a person wants gone, or wants kept. The
// rows alone; the files without a row are removed by CheckpointRepository::KeepOnly. Owned by JobManager; any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/core_context.h"
#include "coordinator/core/requests.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"

namespace sink {

class CheckpointCalls {
 public:
  explicit CheckpointCalls(CoreContext* context) : context_(context) {}

  // Forgets the checkpoint, whose bytes are not what they were, so that the job goes on from the newest of the others;
  // its log says so. False, and nothing happens, when the row is not this one any more, or the job has succeeded:
  // nobody goes on from that, and what is left of it may be of use.
  absl::StatusOr<bool> DropDamaged(const Checkpoint& checkpoint, const std::string& damage, Now now);

  // Writes into the job's log that it is damaged.
  absl::Status TellDamage(const Checkpoint& checkpoint, const std::string& damage, Now now);

  // With nothing changed: NOT_FOUND when one of them is not there, FAILED_PRECONDITION when one is pinned.
  absl::Status Drop(std::string_view job, const std::vector<int64_t>& steps);

  // A pinned one stays, however many newer ones there are, until it is unpinned, found damaged or deleted with its job.
  // NOT_FOUND.
  absl::Status Pin(std::string_view job, int64_t step, bool pinned);

  // Jobs that were deleted, rows and all, and whose files may be there yet; and that the files of these are gone.
  absl::StatusOr<std::vector<store::DeletedJob>> Deleted();
  absl::Status FilesAreGone(const std::vector<store::DeletedJob>& jobs);

 private:
  CoreContext* const context_;
};

// Whether the job can go back to `step`, of which there must be a checkpoint unless it is 0. NOT_FOUND names those that
// there are; FAILED_PRECONDITION one above that is pinned.
absl::Status CheckCanKeepUpTo(store::Snapshot& rows, const Job& job, int64_t step);

// Within a transaction: forgets the checkpoints of steps above `step`. Errors as above, and then nothing is changed.
absl::Status KeepUpTo(store::Transaction& rows, const Job& job, int64_t step);

}  // namespace sink
