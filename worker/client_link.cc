// See client_link.h.
#include "worker/client_link.h"

#include <utility>

#include "coordinator/client/coordinator_client.h"

namespace sink::worker {
namespace {

class ClientLink : public CoordinatorLink {
 public:
  explicit ClientLink(std::unique_ptr<CoordinatorClient> client) : client_(std::move(client)) {}

  absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest& request) override {
    return client_->Register(request);
  }
  absl::StatusOr<v1::LeaseResponse> Lease(const v1::LeaseRequest& request) override { return client_->Lease(request); }
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request) override {
    return client_->Heartbeat(request);
  }
  absl::StatusOr<v1::ReportResponse> Report(const v1::ReportRequest& request) override {
    return client_->Report(request);
  }
  absl::StatusOr<v1::BeginCheckpointResponse> BeginCheckpoint(const v1::BeginCheckpointRequest& request) override {
    return client_->BeginCheckpoint(request);
  }
  absl::Status WriteCheckpoint(const CheckpointUpload& upload) override {
    v1::WriteCheckpointRequest first;
    first.set_worker_id(upload.worker_id);
    *first.mutable_lease() = upload.lease;
    first.set_step(upload.step);
    first.set_file(upload.file);
    first.set_offset(upload.offset);
    return client_->WriteCheckpointFile(first, upload.path).status();
  }
  absl::Status CommitCheckpoint(const v1::CommitCheckpointRequest& request) override {
    return client_->CommitCheckpoint(request).status();
  }
  absl::Status FetchCheckpoint(const v1::FetchCheckpointRequest& request, ChunkSink sink) override {
    absl::Status taken;
    const absl::Status fetched = client_->FetchCheckpoint(request, [&](const v1::CheckpointChunk& chunk) {
      taken = sink(chunk);
      return taken.ok();
    });
    return taken.ok() ? fetched : taken;
  }
  absl::StatusOr<v1::FinishResponse> Finish(const v1::FinishRequest& request) override {
    return client_->Finish(request);
  }
  void CancelCalls() override { client_->CancelCalls(); }

 private:
  const std::unique_ptr<CoordinatorClient> client_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CoordinatorLink>> MakeClientLink(const std::string& address) {
  auto client = CoordinatorClient::Create({.address = address, .retry_for = absl::ZeroDuration()});
  if (!client.ok()) return client.status();
  return std::make_unique<ClientLink>(*std::move(client));
}

}  // namespace sink::worker
