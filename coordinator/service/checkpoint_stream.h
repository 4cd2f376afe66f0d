// Checkpoints on the wire: what DownloadCheckpoint and FetchCheckpoint send, and what WriteCheckpoint receives. Called
// in the stream's thread.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/service/checkpoint_repository.h"
#include "sink/v1/client.grpc.pb.h"
#include "sink/v1/worker.grpc.pb.h"

namespace sink {

// Sends the row of `step` (0: the first of `rows`, which is the newest), then its files. NOT_FOUND when there is none.
absl::Status SendCheckpoint(const std::vector<Checkpoint>& rows, int64_t step, CheckpointRepository* repository,
                            grpc::ServerWriter<v1::CheckpointChunk>* writer);

// Stores `first` and every message after it, then makes it durable, also when the stream was cut: what came counts.
// Returns the bytes stored.
absl::StatusOr<uint64_t> ReceiveChunks(const CheckpointKey& key, v1::WriteCheckpointRequest first,
                                       CheckpointRepository* repository,
                                       grpc::ServerReader<v1::WriteCheckpointRequest>* reader);

}  // namespace sink
