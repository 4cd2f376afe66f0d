// Checkpoints on the wire: what DownloadCheckpoint and FetchCheckpoint send, and what WriteCheckpoint receives. Called
// in the stream's thread.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/service/checkpoint_repository.h"
#include "sink/v1/client.grpc.pb.h"
#include "sink/v1/worker.grpc.pb.h"

namespace sink {

// Sends the row, then its files. DATA_LOSS as CheckpointRepository::Read.
absl::Status SendCheckpoint(const Checkpoint& row, CheckpointRepository* repository,
                            grpc::ServerWriter<v1::CheckpointChunk>* writer);

// Stores `first` and every message after it, then makes it durable, also when the stream was cut: what came counts.
// Returns the bytes stored.
absl::StatusOr<uint64_t> ReceiveChunks(const CheckpointKey& key, v1::WriteCheckpointRequest first,
                                       CheckpointRepository* repository,
                                       grpc::ServerReader<v1::WriteCheckpointRequest>* reader);

}  // namespace sink
