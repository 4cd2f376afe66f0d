// WorkerService (proto/sink/v1/worker.proto): each handler validates, asks who calls, calls core (and the repository
// for a checkpoint's bytes) and maps the answer. gRPC calls the handlers from many threads. Owned by the server; what
// it points to outlives it.
#pragma once

#include "coordinator/core/job_queries.h"
#include "coordinator/core/rates.h"
#include "coordinator/core/worker_calls.h"
#include "coordinator/service/checkpoint_guard.h"
#include "coordinator/service/checkpoint_repository.h"
#include "coordinator/service/disk_watch.h"
#include "coordinator/service/fail_stop.h"
#include "coordinator/service/gatekeeper.h"
#include "coordinator/service/lease_desk.h"
#include "coordinator/service/service_time.h"
#include "coordinator/service/stream_gate.h"
#include "sink/v1/worker.grpc.pb.h"

namespace sink {

class WorkerServiceImpl final : public v1::WorkerService::WithCallbackMethod_Lease<v1::WorkerService::Service> {
 public:
  WorkerServiceImpl(const Callers* callers, WorkerCalls* workers, LeaseDesk* desk, JobQueries* queries,
                    CheckpointRepository* checkpoints, CheckpointGuard* guard, DiskWatch* disk, StreamGate* gate,
                    Rates* rates, FailStop* fail_stop, NowFn now)
      : callers_(callers),
        workers_(workers),
        desk_(desk),
        queries_(queries),
        checkpoints_(checkpoints),
        guard_(guard),
        disk_(disk),
        gate_(gate),
        rates_(rates),
        fail_stop_(fail_stop),
        now_(std::move(now)) {}

  grpc::Status Register(grpc::ServerContext* context, const v1::RegisterRequest* request,
                        v1::RegisterResponse* response) override;
  // The one call that may wait for long: it holds no thread while it does.
  grpc::ServerUnaryReactor* Lease(grpc::CallbackServerContext* context, const v1::LeaseRequest* request,
                                  v1::LeaseResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override;
  grpc::Status Report(grpc::ServerContext* context, const v1::ReportRequest* request,
                      v1::ReportResponse* response) override;
  grpc::Status BeginCheckpoint(grpc::ServerContext* context, const v1::BeginCheckpointRequest* request,
                               v1::BeginCheckpointResponse* response) override;
  grpc::Status WriteCheckpoint(grpc::ServerContext* context, grpc::ServerReader<v1::WriteCheckpointRequest>* reader,
                               v1::WriteCheckpointResponse* response) override;
  grpc::Status CommitCheckpoint(grpc::ServerContext* context, const v1::CommitCheckpointRequest* request,
                                v1::CommitCheckpointResponse* response) override;
  grpc::Status FetchCheckpoint(grpc::ServerContext* context, const v1::FetchCheckpointRequest* request,
                               grpc::ServerWriter<v1::CheckpointChunk>* writer) override;
  grpc::Status Finish(grpc::ServerContext* context, const v1::FinishRequest* request,
                      v1::FinishResponse* response) override;

 private:
  // The service's name for sink::Lease, which Lease() above hides.
  using LeaseToken = sink::Lease;

  // The answer where the job's checkpoint cannot be stored now, which `disk_` tells people: RESOURCE_EXHAUSTED,
  // whatever failed, as the worker has nothing to mend and nothing to do but to wait.
  grpc::Status AnswerNotStored(const std::string& job_id, const absl::Status& why);

  // Removes checkpoints' files of this job before `next` that have no row: pushed out, or left by a lost attempt. A
  // failure is logged; the next upload, scrub or start tries again.
  void RemoveLeftovers(const CheckpointKey& next);

  // Whether the request is sound and says of its sender what the sender's certificate says: a worker's id is public, so
  // that it proves nothing by itself.
  template <typename Request>
  absl::Status Admit(const grpc::ServerContextBase& context, const Request& request) const;
  absl::Status IsWorker(const grpc::ServerContextBase& context, const std::string& worker_id) const;

  const Callers* const callers_;
  WorkerCalls* const workers_;
  LeaseDesk* const desk_;
  JobQueries* const queries_;
  CheckpointRepository* const checkpoints_;
  CheckpointGuard* const guard_;
  DiskWatch* const disk_;
  StreamGate* const gate_;
  Rates* const rates_;
  FailStop* const fail_stop_;
  const NowFn now_;
};

}  // namespace sink
