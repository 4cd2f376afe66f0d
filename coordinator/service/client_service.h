// ClientService (proto/sink/v1/client.proto): each handler validates, calls core and maps the answer; nothing else is
// decided here. gRPC calls the handlers from many threads. Owned by the server; what it points to outlives it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/client_calls.h"
#include "coordinator/core/job_queries.h"
#include "coordinator/core/retention.h"
#include "coordinator/service/access.h"
#include "coordinator/service/checkpoint_guard.h"
#include "coordinator/service/disk_watch.h"
#include "coordinator/service/fail_stop.h"
#include "coordinator/service/job_changes.h"
#include "coordinator/service/service_time.h"
#include "coordinator/service/stream_gate.h"
#include "sink/v1/client.grpc.pb.h"

namespace sink {

class ClientServiceImpl final : public v1::ClientService::Service {
 public:
  ClientServiceImpl(const Access* access, JobChanges* changes, ClientCalls* clients, JobQueries* queries,
                    Retention* retention, CheckpointCalls* checkpoints, CheckpointGuard* guard, DiskWatch* disk,
                    StreamGate* gate, FailStop* fail_stop, NowFn now)
      : access_(access),
        changes_(changes),
        clients_(clients),
        queries_(queries),
        retention_(retention),
        checkpoints_(checkpoints),
        guard_(guard),
        disk_(disk),
        gate_(gate),
        fail_stop_(fail_stop),
        now_(std::move(now)) {}

  grpc::Status SubmitSweep(grpc::ServerContext* context, const v1::SubmitSweepRequest* request,
                           v1::SubmitSweepResponse* response) override;
  grpc::Status ListSweeps(grpc::ServerContext* context, const v1::ListSweepsRequest* request,
                          v1::ListSweepsResponse* response) override;
  grpc::Status GetSweep(grpc::ServerContext* context, const v1::GetSweepRequest* request,
                        v1::GetSweepResponse* response) override;
  grpc::Status GetStudy(grpc::ServerContext* context, const v1::GetStudyRequest* request,
                        v1::GetStudyResponse* response) override;
  grpc::Status ListJobs(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override;
  grpc::Status GetJob(grpc::ServerContext* context, const v1::GetJobRequest* request,
                      v1::GetJobResponse* response) override;
  grpc::Status WatchSweep(grpc::ServerContext* context, const v1::WatchSweepRequest* request,
                          grpc::ServerWriter<v1::GetSweepResponse>* writer) override;
  grpc::Status Cancel(grpc::ServerContext* context, const v1::CancelRequest* request,
                      v1::CancelResponse* response) override;
  grpc::Status Retry(grpc::ServerContext* context, const v1::RetryRequest* request,
                     v1::RetryResponse* response) override;
  grpc::Status DeleteSweep(grpc::ServerContext* context, const v1::DeleteSweepRequest* request,
                           v1::DeleteSweepResponse* response) override;
  grpc::Status ReadLogs(grpc::ServerContext* context, const v1::ReadLogsRequest* request,
                        grpc::ServerWriter<v1::LogLine>* writer) override;
  grpc::Status ReadMetrics(grpc::ServerContext* context, const v1::ReadMetricsRequest* request,
                           grpc::ServerWriter<v1::MetricPoints>* writer) override;
  grpc::Status ReadHeatmaps(grpc::ServerContext* context, const v1::ReadHeatmapsRequest* request,
                            grpc::ServerWriter<v1::Heatmap>* writer) override;
  grpc::Status ListWorkers(grpc::ServerContext* context, const v1::ListWorkersRequest* request,
                           v1::ListWorkersResponse* response) override;
  grpc::Status WhyJob(grpc::ServerContext* context, const v1::WhyJobRequest* request,
                      v1::WhyJobResponse* response) override;
  grpc::Status ListCheckpoints(grpc::ServerContext* context, const v1::ListCheckpointsRequest* request,
                               v1::ListCheckpointsResponse* response) override;
  grpc::Status DownloadCheckpoint(grpc::ServerContext* context, const v1::DownloadCheckpointRequest* request,
                                  grpc::ServerWriter<v1::CheckpointChunk>* writer) override;
  grpc::Status VerifyCheckpoints(grpc::ServerContext* context, const v1::VerifyCheckpointsRequest* request,
                                 v1::VerifyCheckpointsResponse* response) override;
  grpc::Status DropCheckpoints(grpc::ServerContext* context, const v1::DropCheckpointsRequest* request,
                               v1::DropCheckpointsResponse* response) override;
  grpc::Status PinCheckpoint(grpc::ServerContext* context, const v1::PinCheckpointRequest* request,
                             v1::PinCheckpointResponse* response) override;
  grpc::Status HoldWorkers(grpc::ServerContext* context, const v1::HoldWorkersRequest* request,
                           v1::HoldWorkersResponse* response) override;
  grpc::Status SetPriority(grpc::ServerContext* context, const v1::SetPriorityRequest* request,
                           v1::SetPriorityResponse* response) override;
  grpc::Status CollectGarbage(grpc::ServerContext* context, const v1::CollectGarbageRequest* request,
                              v1::CollectGarbageResponse* response) override;

 private:
  // The jobs that a request names: one, or those of a sweep.
  template <typename Request>
  absl::StatusOr<std::vector<std::string>> JobsOf(const Request& request) {
    if (request.sweep().empty()) return std::vector<std::string>{request.job_id()};
    return queries_->SweepJobIds(request.sweep());
  }

  const Access* const access_;
  JobChanges* const changes_;
  ClientCalls* const clients_;
  JobQueries* const queries_;
  Retention* const retention_;
  CheckpointCalls* const checkpoints_;
  CheckpointGuard* const guard_;
  DiskWatch* const disk_;
  StreamGate* const gate_;
  FailStop* const fail_stop_;
  const NowFn now_;
};

}  // namespace sink
