// See coordinator_client.h.
#include "coordinator/client/coordinator_client.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "coordinator/client/address.h"
#include "coordinator/client/calls.h"
#include "coordinator/client/lazy_channel.h"
#include "coordinator/files/file_status.h"
#include "proto/files/descriptor.h"
#include "sink/v1/client.grpc.pb.h"
#include "sink/v1/identity.grpc.pb.h"
#include "sink/v1/worker.grpc.pb.h"

namespace sink {
namespace {

using ClientStub = v1::ClientService::Stub;
using WorkerStub = v1::WorkerService::Stub;
using IdentityStub = v1::IdentityService::Stub;

constexpr size_t kChunkBytes = 256 * 1024;

// Sends the file from `message->offset()` to its end. False once the stream is broken.
absl::StatusOr<bool> SendFile(const files::Fd& fd, const std::string& path, v1::WriteCheckpointRequest* message,
                              grpc::ClientWriter<v1::WriteCheckpointRequest>* writer) {
  for (uint64_t offset = message->offset();;) {
    if (const auto failed = files::ReadAt(fd, path, offset, kChunkBytes, message->mutable_data()))
      return ToStatus(failed);
    const bool last = message->data().size() < kChunkBytes;
    message->set_offset(offset);
    offset += message->data().size();
    if (!writer->Write(*message)) return false;
    if (last) return writer->WritesDone();
    message->clear_lease();  // only the first message says who writes what
    message->clear_worker_id();
  }
}

}  // namespace

class CoordinatorClient::Impl {
 public:
  explicit Impl(ClientOptions options)
      : options(std::move(options)),
        channel(this->options),
        calls(this->options, &channel),
        client(channel),
        worker(channel),
        identity(channel) {}

  const ClientOptions options;
  LazyChannel channel;
  Calls calls;
  LazyStub<ClientStub> client;
  LazyStub<WorkerStub> worker;
  LazyStub<IdentityStub> identity;
};

absl::StatusOr<std::unique_ptr<CoordinatorClient>> CoordinatorClient::Create(ClientOptions options) {
  if (absl::Status status = CheckAddress(options.address); !status.ok()) return status;
  return std::unique_ptr<CoordinatorClient>(new CoordinatorClient(std::make_unique<Impl>(std::move(options))));
}

CoordinatorClient::CoordinatorClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CoordinatorClient::~CoordinatorClient() = default;

void CoordinatorClient::CancelCalls() { impl_->calls.CancelAll(); }
const std::string& CoordinatorClient::address() const { return impl_->options.address; }

absl::StatusOr<v1::SubmitSweepResponse> CoordinatorClient::SubmitSweep(const v1::SubmitSweepRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::SubmitSweep, request);
}
absl::StatusOr<v1::ListSweepsResponse> CoordinatorClient::ListSweeps(const v1::ListSweepsRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::ListSweeps, request);
}
absl::StatusOr<v1::GetSweepResponse> CoordinatorClient::GetSweep(const v1::GetSweepRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::GetSweep, request);
}
absl::StatusOr<v1::GetStudyResponse> CoordinatorClient::GetStudy(const v1::GetStudyRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::GetStudy, request);
}
absl::StatusOr<v1::ListJobsResponse> CoordinatorClient::ListJobs(const v1::ListJobsRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::ListJobs, request);
}
absl::StatusOr<v1::GetJobResponse> CoordinatorClient::GetJob(const v1::GetJobRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::GetJob, request);
}
absl::StatusOr<v1::WhyJobResponse> CoordinatorClient::WhyJob(const v1::WhyJobRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::WhyJob, request);
}
absl::StatusOr<v1::CancelResponse> CoordinatorClient::Cancel(const v1::CancelRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::Cancel, request);
}
absl::StatusOr<v1::RetryResponse> CoordinatorClient::Retry(const v1::RetryRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::Retry, request);
}
absl::StatusOr<v1::DeleteSweepResponse> CoordinatorClient::DeleteSweep(const v1::DeleteSweepRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::DeleteSweep, request, impl_->options.transfer_deadline);
}
absl::StatusOr<v1::ListWorkersResponse> CoordinatorClient::ListWorkers(const v1::ListWorkersRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::ListWorkers, request);
}
absl::StatusOr<v1::ListCheckpointsResponse> CoordinatorClient::ListCheckpoints(
    const v1::ListCheckpointsRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::ListCheckpoints, request);
}

absl::StatusOr<v1::VerifyCheckpointsResponse> CoordinatorClient::VerifyCheckpoints(
    const v1::VerifyCheckpointsRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::VerifyCheckpoints, request, impl_->options.transfer_deadline);
}
absl::StatusOr<v1::DropCheckpointsResponse> CoordinatorClient::DropCheckpoints(
    const v1::DropCheckpointsRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::DropCheckpoints, request);
}
absl::StatusOr<v1::PinCheckpointResponse> CoordinatorClient::PinCheckpoint(const v1::PinCheckpointRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::PinCheckpoint, request);
}
absl::StatusOr<v1::HoldWorkersResponse> CoordinatorClient::HoldWorkers(const v1::HoldWorkersRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::HoldWorkers, request);
}
absl::StatusOr<v1::SetPriorityResponse> CoordinatorClient::SetPriority(const v1::SetPriorityRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::SetPriority, request);
}
absl::StatusOr<v1::CollectGarbageResponse> CoordinatorClient::CollectGarbage(const v1::CollectGarbageRequest& request) {
  return impl_->calls.Unary(impl_->client, &ClientStub::CollectGarbage, request, impl_->options.transfer_deadline);
}

absl::Status CoordinatorClient::WatchSweep(const v1::WatchSweepRequest& request,
                                           Receiver<v1::GetSweepResponse> receive) {
  return impl_->calls.Stream(impl_->client, &ClientStub::WatchSweep, request, absl::InfiniteDuration(), receive);
}
absl::Status CoordinatorClient::ReadLogs(const v1::ReadLogsRequest& request, Receiver<v1::LogLine> receive) {
  return impl_->calls.Stream(impl_->client, &ClientStub::ReadLogs, request,
                             request.follow() ? absl::InfiniteDuration() : impl_->options.transfer_deadline, receive);
}
absl::Status CoordinatorClient::ReadMetrics(const v1::ReadMetricsRequest& request, Receiver<v1::MetricPoints> receive) {
  return impl_->calls.Stream(impl_->client, &ClientStub::ReadMetrics, request, impl_->options.transfer_deadline,
                             receive);
}
absl::Status CoordinatorClient::ReadHeatmaps(const v1::ReadHeatmapsRequest& request, Receiver<v1::Heatmap> receive) {
  return impl_->calls.Stream(impl_->client, &ClientStub::ReadHeatmaps, request, impl_->options.transfer_deadline,
                             receive);
}
absl::Status CoordinatorClient::DownloadCheckpoint(const v1::DownloadCheckpointRequest& request,
                                                   Receiver<v1::CheckpointChunk> receive) {
  return impl_->calls.Stream(impl_->client, &ClientStub::DownloadCheckpoint, request, impl_->options.transfer_deadline,
                             receive);
}

absl::StatusOr<v1::RegisterResponse> CoordinatorClient::Register(const v1::RegisterRequest& request) {
  return impl_->calls.Unary(impl_->worker, &WorkerStub::Register, request);
}
absl::StatusOr<v1::LeaseResponse> CoordinatorClient::Lease(const v1::LeaseRequest& request) {
  return impl_->calls.Unary(impl_->worker, &WorkerStub::Lease, request,
                            impl_->options.deadline + absl::Milliseconds(request.wait_ms()));
}
absl::StatusOr<v1::HeartbeatResponse> CoordinatorClient::Heartbeat(const v1::HeartbeatRequest& request) {
  return impl_->calls.Unary(impl_->worker, &WorkerStub::Heartbeat, request);
}
absl::StatusOr<v1::ReportResponse> CoordinatorClient::Report(const v1::ReportRequest& request) {
  return impl_->calls.Unary(impl_->worker, &WorkerStub::Report, request);
}
absl::StatusOr<v1::BeginCheckpointResponse> CoordinatorClient::BeginCheckpoint(
    const v1::BeginCheckpointRequest& request) {
  return impl_->calls.Unary(impl_->worker, &WorkerStub::BeginCheckpoint, request);
}
absl::StatusOr<v1::CommitCheckpointResponse> CoordinatorClient::CommitCheckpoint(
    const v1::CommitCheckpointRequest& request) {
  return impl_->calls.Unary(impl_->worker, &WorkerStub::CommitCheckpoint, request,
                            impl_->options.transfer_deadline);  // hashes every byte again
}
absl::Status CoordinatorClient::FetchCheckpoint(const v1::FetchCheckpointRequest& request,
                                                Receiver<v1::CheckpointChunk> receive) {
  return impl_->calls.Stream(impl_->worker, &WorkerStub::FetchCheckpoint, request, impl_->options.transfer_deadline,
                             receive);
}
absl::StatusOr<v1::FinishResponse> CoordinatorClient::Finish(const v1::FinishRequest& request) {
  return impl_->calls.Unary(impl_->worker, &WorkerStub::Finish, request);
}

absl::StatusOr<v1::CertificateResponse> CoordinatorClient::Join(const v1::JoinRequest& request) {
  return impl_->calls.Unary(impl_->identity, &IdentityStub::Join, request);
}
absl::StatusOr<v1::CertificateResponse> CoordinatorClient::LogIn(const v1::LogInRequest& request) {
  return impl_->calls.Unary(impl_->identity, &IdentityStub::LogIn, request);
}
absl::StatusOr<v1::CertificateResponse> CoordinatorClient::Renew(const v1::RenewRequest& request) {
  return impl_->calls.Unary(impl_->identity, &IdentityStub::Renew, request);
}
absl::StatusOr<v1::CertificateResponse> CoordinatorClient::CreateToken(const v1::CreateTokenRequest& request) {
  return impl_->calls.Unary(impl_->identity, &IdentityStub::CreateToken, request);
}
absl::StatusOr<v1::RevokeResponse> CoordinatorClient::Revoke(const v1::RevokeRequest& request) {
  return impl_->calls.Unary(impl_->identity, &IdentityStub::Revoke, request);
}
absl::StatusOr<v1::ListPrincipalsResponse> CoordinatorClient::ListPrincipals(const v1::ListPrincipalsRequest& request) {
  return impl_->calls.Unary(impl_->identity, &IdentityStub::ListPrincipals, request);
}

absl::StatusOr<v1::ListAuditResponse> CoordinatorClient::ListAudit(const v1::ListAuditRequest& request) {
  return impl_->calls.Unary(impl_->identity, &IdentityStub::ListAudit, request);
}
absl::StatusOr<v1::OpenPageResponse> CoordinatorClient::OpenPage(const v1::OpenPageRequest& request) {
  return impl_->calls.Unary(impl_->identity, &IdentityStub::OpenPage, request);
}

absl::StatusOr<v1::WriteCheckpointResponse> CoordinatorClient::WriteCheckpointFile(
    const v1::WriteCheckpointRequest& first, const std::string& path) {
  const auto fd = files::Open(path, O_RDONLY);
  // NOT_FOUND would be the coordinator's word: it knows no such worker, or no such checkpoint.
  if (!fd.ok() && fd.error().code() == ENOENT) return absl::DataLossError(fd.error().message());
  if (!fd.ok()) return ToStatus(fd.error());
  const auto stub = impl_->worker.Get();
  if (!stub.ok()) return stub.status();
  v1::WriteCheckpointResponse response;
  Calls::Try attempt(impl_->calls, impl_->options.transfer_deadline);
  auto writer = (*stub)->WriteCheckpoint(attempt.context(), &response);
  v1::WriteCheckpointRequest message = first;
  const absl::StatusOr<bool> sent = SendFile(*fd, path, &message, writer.get());
  if (!sent.ok()) attempt.context()->TryCancel();
  const absl::Status status = attempt.Result(writer->Finish());
  if (!sent.ok()) return sent.status();  // our own disk's fault, not the cancelled call's
  if (!status.ok()) return status;
  return response;
}

}  // namespace sink
