// A checkpoint as it is sent to those who open it, where modeling_sink.py runs: with this release's file in the place
// of the one that came from a worker. The two differ when the worker is of another release, or hostile; its own workers
// get back what they sent, which is what their manifest lists and nobody runs. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "coordinator/job/job.h"
#include "coordinator/service/checkpoint_repository.h"

namespace sink {

// The row with the size and the hash of what is sent.
Checkpoint AsOpened(Checkpoint row);

// CheckpointRepository::Read of the row as it is stored, with the bytes of AsOpened's.
absl::Status ReadAsOpened(
    const Checkpoint& row, CheckpointRepository* repository,
    absl::FunctionRef<absl::Status(const std::string& file, uint64_t offset, std::string& data)> send);

}  // namespace sink
