// See client_link.h.
#include "worker/client_link.h"

#include <spdlog/spdlog.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/client/coordinator_client.h"
#include "worker/patient_link.h"

namespace sink::worker {
namespace {

// What is called at each connection; the client and the link share it.
class ConnectHook {
 public:
  void Set(std::function<void()> hook) {
    const absl::MutexLock lock(&mutex_);
    hook_ = std::move(hook);
  }
  void Call() {
    const absl::MutexLock lock(&mutex_);
    if (hook_) hook_();
  }

 private:
  absl::Mutex mutex_;
  std::function<void()> hook_ ABSL_GUARDED_BY(mutex_);
};

class ClientLink : public CoordinatorLink {
 public:
  ClientLink(std::unique_ptr<CoordinatorClient> client, std::shared_ptr<ConnectHook> hook,
             const EnrolmentOptions& options)
      : folder_(options.folder), hook_(std::move(hook)), client_(std::move(client)), enrolment_(options) {}

  absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest& request) override {
    {
      const absl::MutexLock lock(&mutex_);
      if (absl::Status status = enrolment_.Ensure(); !status.ok()) return status;
    }
    auto response = client_->Register(request);
    if (!absl::IsUnauthenticated(response.status())) return response;
    return absl::UnauthenticatedError(absl::StrCat(response.status().message(), ": ", HowToJoinAnew(folder_)));
  }
  absl::StatusOr<v1::LeaseResponse> Lease(const v1::LeaseRequest& request) override {
    auto response = client_->Lease(request);
    if (response.ok()) RenewIfDue();  // one that only waits makes no other call
    return response;
  }
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request) override {
    auto response = client_->Heartbeat(request);
    if (response.ok()) RenewIfDue();
    return response;
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
  void OnConnect(std::function<void()> hook) override { hook_->Set(std::move(hook)); }

 private:
  void RenewIfDue() {
    const absl::MutexLock lock(&mutex_);
    if (absl::Status status = enrolment_.RenewIfDue(*client_); !status.ok())
      spdlog::warn("the certificate could not be renewed yet: {}", status.ToString());
  }

  const std::string folder_;
  const std::shared_ptr<ConnectHook> hook_;
  const std::unique_ptr<CoordinatorClient> client_;
  absl::Mutex mutex_;
  Enrolment enrolment_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<CoordinatorLink>> MakeClientLink(const EnrolmentOptions& options) {
  auto hook = std::make_shared<ConnectHook>();
  auto client = CoordinatorClient::Create({.address = options.address,
                                           .credentials = options.folder,
                                           .retry_for = absl::ZeroDuration(),
                                           .on_connect = [hook] { hook->Call(); }});
  if (!client.ok()) return client.status();
  return MakePatientLink(std::make_unique<ClientLink>(*std::move(client), std::move(hook), options));
}

}  // namespace sink::worker
