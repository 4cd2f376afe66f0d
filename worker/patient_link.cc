// See patient_link.h.
#include "worker/patient_link.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/job/status_macros.h"
#include "worker/protocol/answer.h"

namespace sink::worker {
namespace {

constexpr absl::Duration kLongestPause = absl::Minutes(1);

class PatientLink : public CoordinatorLink {
 public:
  PatientLink(std::unique_ptr<CoordinatorLink> link, std::function<absl::Duration()> clock)
      : link_(std::move(link)), clock_(std::move(clock)) {}

  absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest& request) override {
    {
      const absl::MutexLock lock(&mutex_);
      if (!refusal_.ok() && clock_() < again_at_) return refusal_;
    }
    auto response = link_->Register(request);
    const absl::MutexLock lock(&mutex_);
    if (IsCredentialRefused(response.status())) {
      refusal_ = response.status();
      again_at_ = clock_() + backoff_.Next(kLongestPause);
    } else if (response.ok()) {
      refusal_ = absl::OkStatus();
      backoff_.Reset();
    }
    return response;
  }
  absl::StatusOr<v1::LeaseResponse> Lease(const v1::LeaseRequest& request) override {
    SINK_RETURN_IF_ERROR(Refusal());
    return link_->Lease(request);
  }
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request) override {
    SINK_RETURN_IF_ERROR(Refusal());
    return link_->Heartbeat(request);
  }
  absl::StatusOr<v1::ReportResponse> Report(const v1::ReportRequest& request) override {
    SINK_RETURN_IF_ERROR(Refusal());
    return link_->Report(request);
  }
  absl::StatusOr<v1::BeginCheckpointResponse> BeginCheckpoint(const v1::BeginCheckpointRequest& request) override {
    SINK_RETURN_IF_ERROR(Refusal());
    return link_->BeginCheckpoint(request);
  }
  absl::Status WriteCheckpoint(const CheckpointUpload& upload) override {
    SINK_RETURN_IF_ERROR(Refusal());
    return link_->WriteCheckpoint(upload);
  }
  absl::Status CommitCheckpoint(const v1::CommitCheckpointRequest& request) override {
    SINK_RETURN_IF_ERROR(Refusal());
    return link_->CommitCheckpoint(request);
  }
  absl::Status FetchCheckpoint(const v1::FetchCheckpointRequest& request, ChunkSink sink) override {
    SINK_RETURN_IF_ERROR(Refusal());
    return link_->FetchCheckpoint(request, sink);
  }
  absl::StatusOr<v1::FinishResponse> Finish(const v1::FinishRequest& request) override {
    SINK_RETURN_IF_ERROR(Refusal());
    return link_->Finish(request);
  }
  void CancelCalls() override { link_->CancelCalls(); }
  void OnConnect(std::function<void()> hook) override { link_->OnConnect(std::move(hook)); }

 private:
  absl::Status Refusal() {
    const absl::MutexLock lock(&mutex_);
    return refusal_;
  }

  const std::unique_ptr<CoordinatorLink> link_;
  const std::function<absl::Duration()> clock_;
  absl::Mutex mutex_;
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);  // of the newest registration that was answered; OK: it was taken
  absl::Duration again_at_ ABSL_GUARDED_BY(mutex_);
  Backoff backoff_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<CoordinatorLink> MakePatientLink(std::unique_ptr<CoordinatorLink> link,
                                                 std::function<absl::Duration()> clock) {
  return std::make_unique<PatientLink>(std::move(link), std::move(clock));
}

}  // namespace sink::worker
