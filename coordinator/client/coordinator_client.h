// The coordinator as its clients see it (sinkctl, the worker daemon): one method for each RPC of proto/sink/v1, with
// deadlines, retries and messages that say which address was meant. Owns one channel, which connects on the first call
// and reconnects by itself. Every method blocks; any thread may call any method at any time.
//
// Both sides show a certificate; ours is found where the options say, at the first call that finds one there.
//
// Errors: what the service answered (see proto/sink/v1), or UNAVAILABLE "cannot reach the coordinator at HOST:PORT:
// ...", UNAVAILABLE "the coordinator at HOST:PORT has no room for this call now: ..." where no service has seen it for
// want of threads or memory, or because we make too many, DEADLINE_EXCEEDED "... did not answer within ...", CANCELLED
// after CancelCalls(), also between two tries.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/identity/credential.h"
#include "sink/v1/client.pb.h"
#include "sink/v1/identity.pb.h"
#include "sink/v1/worker.pb.h"

namespace sink {

struct ClientOptions {
  std::string address;  // host:port
  // Our credential: a folder (coordinator/identity/credential.h), whose certificate may be renewed while the client
  // lives. While nothing is there, calls are UNAVAILABLE.
  std::string credentials = "";
  // One in memory, in place of what is there.
  std::optional<identity::Credential> credential = std::nullopt;
  // Of one try of a unary call.
  absl::Duration deadline = absl::Seconds(10);
  // UNAVAILABLE is tried again, with growing pauses, until this long after the call began; zero: one try. For callers
  // with a retry loop of their own. Every RPC may be repeated: see proto/sink/v1.
  absl::Duration retry_for = absl::Seconds(10);
  // Of a whole transfer of checkpoint bytes, metrics or (not followed) logs.
  absl::Duration transfer_deadline = absl::Hours(1);
  // Called on a thread of the client's each time that it has come to a connection; must not wait.
  std::function<void()> on_connect = nullptr;
};

class CoordinatorClient {
 public:
  // Receives one message of a stream; false ends the call, which then returns OK.
  template <typename Message>
  using Receiver = absl::FunctionRef<bool(const Message&)>;

  // Checks the form of the address; does not connect. INVALID_ARGUMENT when it is not host:port.
  static absl::StatusOr<std::unique_ptr<CoordinatorClient>> Create(ClientOptions options);
  ~CoordinatorClient();

  // --- ClientService
  absl::StatusOr<v1::SubmitSweepResponse> SubmitSweep(const v1::SubmitSweepRequest& request);
  absl::StatusOr<v1::ListSweepsResponse> ListSweeps(const v1::ListSweepsRequest& request);
  absl::StatusOr<v1::GetSweepResponse> GetSweep(const v1::GetSweepRequest& request);
  absl::StatusOr<v1::GetStudyResponse> GetStudy(const v1::GetStudyRequest& request);
  absl::StatusOr<v1::ListJobsResponse> ListJobs(const v1::ListJobsRequest& request);
  absl::StatusOr<v1::GetJobResponse> GetJob(const v1::GetJobRequest& request);
  absl::StatusOr<v1::WhyJobResponse> WhyJob(const v1::WhyJobRequest& request);
  absl::StatusOr<v1::CancelResponse> Cancel(const v1::CancelRequest& request);
  absl::StatusOr<v1::RetryResponse> Retry(const v1::RetryRequest& request);
  absl::StatusOr<v1::DeleteSweepResponse> DeleteSweep(const v1::DeleteSweepRequest& request);  // may take long
  absl::StatusOr<v1::ListWorkersResponse> ListWorkers(const v1::ListWorkersRequest& request);
  absl::StatusOr<v1::ListCheckpointsResponse> ListCheckpoints(const v1::ListCheckpointsRequest& request);
  absl::StatusOr<v1::VerifyCheckpointsResponse> VerifyCheckpoints(
      const v1::VerifyCheckpointsRequest& request);  // may take long
  absl::StatusOr<v1::DropCheckpointsResponse> DropCheckpoints(const v1::DropCheckpointsRequest& request);
  absl::StatusOr<v1::PinCheckpointResponse> PinCheckpoint(const v1::PinCheckpointRequest& request);
  absl::StatusOr<v1::HoldWorkersResponse> HoldWorkers(const v1::HoldWorkersRequest& request);
  absl::StatusOr<v1::SetPriorityResponse> SetPriority(const v1::SetPriorityRequest& request);
  absl::StatusOr<v1::CollectGarbageResponse> CollectGarbage(const v1::CollectGarbageRequest& request);  // may take long
  // Streams. They are tried again only as long as nothing was received; after that the caller goes on from where it is.
  // WatchSweep and a followed ReadLogs have no deadline: keepalive pings notice a dead coordinator within 30 s.
  absl::Status WatchSweep(const v1::WatchSweepRequest& request, Receiver<v1::GetSweepResponse> receive);
  absl::Status ReadLogs(const v1::ReadLogsRequest& request, Receiver<v1::LogLine> receive);
  absl::Status ReadMetrics(const v1::ReadMetricsRequest& request, Receiver<v1::MetricPoints> receive);
  absl::Status ReadHeatmaps(const v1::ReadHeatmapsRequest& request, Receiver<v1::Heatmap> receive);
  absl::Status DownloadCheckpoint(const v1::DownloadCheckpointRequest& request, Receiver<v1::CheckpointChunk> receive);

  // --- WorkerService
  absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest& request);
  absl::StatusOr<v1::LeaseResponse> Lease(const v1::LeaseRequest& request);
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request);
  absl::StatusOr<v1::ReportResponse> Report(const v1::ReportRequest& request);
  absl::StatusOr<v1::BeginCheckpointResponse> BeginCheckpoint(const v1::BeginCheckpointRequest& request);
  // Sends the bytes of the file at `path` from `first.offset()` to its end as `first.file()` of the checkpoint. `first`
  // names worker, lease, step, file and offset. One try: after a failure BeginCheckpoint says where to go on. DATA_LOSS
  // where there is no file at `path`.
  absl::StatusOr<v1::WriteCheckpointResponse> WriteCheckpointFile(const v1::WriteCheckpointRequest& first,
                                                                  const std::string& path);
  absl::StatusOr<v1::CommitCheckpointResponse> CommitCheckpoint(const v1::CommitCheckpointRequest& request);
  absl::Status FetchCheckpoint(const v1::FetchCheckpointRequest& request, Receiver<v1::CheckpointChunk> receive);
  absl::StatusOr<v1::FinishResponse> Finish(const v1::FinishRequest& request);

  // --- IdentityService
  absl::StatusOr<v1::CertificateResponse> Join(const v1::JoinRequest& request);
  absl::StatusOr<v1::CertificateResponse> LogIn(const v1::LogInRequest& request);
  absl::StatusOr<v1::CertificateResponse> Renew(const v1::RenewRequest& request);
  absl::StatusOr<v1::CertificateResponse> CreateToken(const v1::CreateTokenRequest& request);
  absl::StatusOr<v1::RevokeResponse> Revoke(const v1::RevokeRequest& request);
  absl::StatusOr<v1::ListPrincipalsResponse> ListPrincipals(const v1::ListPrincipalsRequest& request);
  absl::StatusOr<v1::ListAuditResponse> ListAudit(const v1::ListAuditRequest& request);
  absl::StatusOr<v1::OpenPageResponse> OpenPage(const v1::OpenPageRequest& request);

  // Ends every call in progress, also streams, and refuses every later one: for a program that is asked to stop.
  void CancelCalls();

  const std::string& address() const;

 private:
  class Impl;
  explicit CoordinatorClient(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace sink
