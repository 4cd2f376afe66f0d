// Puts the checkpoint that a grant names into a new run folder: from an older attempt on this machine when one has it,
// else from the coordinator. Only the checkpoint that the coordinator has committed is used, never a newer local one:
// events before that may be missing. Runs in the attempt's thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "sink/v1/worker.pb.h"
#include "worker/leased_calls.h"
#include "worker/run_folder.h"

namespace sink::worker {

// On success RUN/checkpoints/step-N is there and every file has the hash in a manifest with the granted hash. Where the
// coordinator finds the granted one damaged, it is the newest that is whole in its place, or nothing where none is
// left. DataLoss when what the coordinator sends is not what it says, or it names none but damaged ones; Cancelled when
// a stop is requested meanwhile; file system errors. `reader`: the user of the trainer that goes on from it, where that
// is not the worker's.
absl::Status PrepareResume(const std::string& data, const v1::Checkpoint& checkpoint, const RunFolder& folder,
                           std::optional<uid_t> reader, LeasedCalls& calls);

}  // namespace sink::worker
