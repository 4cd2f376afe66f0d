// Queued jobs that failures of their home hold (holds.h) though another sweep wants them, too: their home becomes the
// oldest sweep that wants them and is not held itself, since its owner may not put the other's failures right. They
// stay there when the hold ends. Owned by LeaseExpiry; any thread, one at a time.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/job_store.h"
#include "coordinator/store/queue_head.h"

namespace sink {

class HeldHomes {
 public:
  // Looks at the next few hundred queued jobs of held sweeps, round and round, and returns the ids of those that are to
  // move. So a lease pays nothing for it, and one job of 100,000 is found within minutes. Cost: those jobs, and at the
  // beginning of a round the queues.
  absl::StatusOr<std::vector<std::string>> Look(store::Snapshot& rows);
  // Moves those of the jobs that still are to move.
  static absl::Status Move(store::Transaction& rows, const std::vector<std::string>& ids);

 private:
  std::vector<store::QueueHead> round_;  // of each queue that is not done yet, the job to look at next
};

}  // namespace sink
