// The calls that the worker daemon makes, as the daemon sees them: the interface lives with its user, so that tests
// drive the daemon without a network. client_link.h implements it over gRPC.
//
// Every method blocks for at most its deadline and may be called from any thread. Codes as in
// proto/sink/v1/worker.proto: UNAVAILABLE and DEADLINE_EXCEEDED mean "try again"; an error that is
// IsStaleLease (coordinator/errors) means that the attempt is somebody else's now; NOT_FOUND and UNAUTHENTICATED mean
// "register again".
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sink/v1/worker.pb.h"

namespace sink::worker {

// One file of a checkpoint on its way to the coordinator.
struct CheckpointUpload {
  std::string worker_id;
  v1::LeaseRef lease;
  int64_t step = 0;
  std::string file;     // name within the checkpoint
  std::string path;     // where it lies here
  uint64_t offset = 0;  // bytes that the coordinator already has
};

class CoordinatorLink {
 public:
  using ChunkSink = absl::FunctionRef<absl::Status(const v1::CheckpointChunk&)>;

  virtual ~CoordinatorLink() = default;
  virtual absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest& request) = 0;
  virtual absl::StatusOr<v1::LeaseResponse> Lease(const v1::LeaseRequest& request) = 0;
  virtual absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request) = 0;
  virtual absl::StatusOr<v1::ReportResponse> Report(const v1::ReportRequest& request) = 0;
  virtual absl::StatusOr<v1::BeginCheckpointResponse> BeginCheckpoint(const v1::BeginCheckpointRequest& request) = 0;
  // Sends the file's bytes from `offset` to its end.
  virtual absl::Status WriteCheckpoint(const CheckpointUpload& upload) = 0;
  virtual absl::Status CommitCheckpoint(const v1::CommitCheckpointRequest& request) = 0;
  // Passes each chunk to `sink`; an error of the sink ends the call with that error.
  virtual absl::Status FetchCheckpoint(const v1::FetchCheckpointRequest& request, ChunkSink sink) = 0;
  virtual absl::StatusOr<v1::FinishResponse> Finish(const v1::FinishRequest& request) = 0;
  // Ends every call in progress and refuses every later one, with Cancelled.
  virtual void CancelCalls() = 0;
  // `hook` is called, on a thread of the link's, when the coordinator can be reached again; it must not wait. Null ends
  // that: it is not being called any more when this returns. A link that does not know never calls it.
  virtual void OnConnect(std::function<void()> /*hook*/) {}
};

}  // namespace sink::worker
