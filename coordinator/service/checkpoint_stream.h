// Checkpoints on the wire: what DownloadCheckpoint and FetchCheckpoint send, and what WriteCheckpoint receives. Called
// in the stream's thread.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/service/checkpoint_repository.h"
#include "sink/v1/client.pb.h"
#include "sink/v1/worker.pb.h"

namespace sink {

// Who gets a checkpoint: a worker, which goes on from it, or people, who open it (opened_checkpoint.h).
enum class SentTo { kWorker, kPeople };

// Sends the row, then its files. DATA_LOSS as CheckpointRepository::Read. `write` and `read` move one message, and are
// false when there is nobody to take it, or no more.
absl::Status SendCheckpoint(const Checkpoint& row, SentTo whom, CheckpointRepository* repository,
                            absl::FunctionRef<bool(const v1::CheckpointChunk&)> write);

// Stores `first` and every message after it, then makes it durable, also when the stream was cut: what came counts.
// Returns the bytes stored.
absl::StatusOr<uint64_t> ReceiveChunks(const CheckpointKey& key, v1::WriteCheckpointRequest first,
                                       CheckpointRepository* repository,
                                       absl::FunctionRef<bool(v1::WriteCheckpointRequest*)> read);

}  // namespace sink
