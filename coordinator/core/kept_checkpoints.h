// Which of a job's checkpoints stay when a newer one has come: the newest few, those of its period, the best one where
// it asks for that, and those that people have pinned. The best is the one with the lowest validation loss, which each
// keeps from its own commit on, so that nothing has to read the curve again. Within a transaction; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"

namespace sink {

// The loss that was measured last at or before `step`; not a number where none was. `others`, newest first, are those
// that the job has: what was measured before the last of them is what that one says.
absl::StatusOr<double> LossOfCheckpoint(store::Snapshot& rows, const std::string& job_id, int64_t step,
                                        const std::vector<Checkpoint>& others);

// Of equals the oldest, which stands nearest to where its loss was measured. Null where none has one. `checkpoints`,
// newest first, outlive the answer.
const Checkpoint* BestOf(const std::vector<Checkpoint>& checkpoints);

// Those of the job's checkpoints that nothing keeps. `newest`: how many are kept for being new.
absl::StatusOr<std::vector<Checkpoint>> Surplus(store::Snapshot& rows, const Job& job, int newest);

}  // namespace sink
