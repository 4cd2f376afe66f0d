// See worker_service.h.
#include "coordinator/service/worker_service.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/log/log.h"
#include "coordinator/service/access.h"
#include "coordinator/service/checkpoint_stream.h"
#include "coordinator/service/convert.h"
#include "coordinator/service/validate.h"

namespace sink {
namespace {

template <typename Request>
CheckpointKey KeyOf(const Request& request) {
  return {request.lease().job_id(), request.lease().fence(), request.step()};
}

// What is logged during the call is about the job whose lease the request shows.
template <typename Request>
LogScope ScopeOf(const Request& request) {
  return LogScope(request.lease().job_id(), request.lease().lease_id());
}

// Other workers' trainers connect to what a worker calls its host, and speak a protocol without a login there.
absl::Status MayAdvertise(const grpc::ServerContextBase& context, const std::string& host) {
  const std::string peer = PeerAddress(context), from = peer.substr(0, peer.rfind(':'));
  if (host.empty() || host == from || absl::StrCat("[", host, "]") == from) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(const std::string shown, ShownCertificate(context));
  SINK_ASSIGN_OR_RETURN(const identity::Claims claims, identity::Describe(shown));
  if (claims.host == host) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("advertise: ", host, " is neither where this worker calls from, ", from,
                   ", nor named by its certificate; let it join again: sink-worker --advertise ", host,
                   " --join with a new token (sinkctl worker token)"));
}

// A Lease until it is answered. The desk finishes it; gRPC says when nothing refers to it any more.
class LeaseReactor final : public grpc::ServerUnaryReactor {
 public:
  LeaseReactor(LeaseDesk* desk, std::shared_ptr<LeaseDesk::Question> question)
      : desk_(desk), question_(std::move(question)) {}

  void OnCancel() override { desk_->Withdraw(question_); }
  void OnDone() override { delete this; }

 private:
  LeaseDesk* const desk_;
  const std::shared_ptr<LeaseDesk::Question> question_;
};

// Whether the coordinator's disk failed it: all else that Write and Commit say is what the worker did wrong, or has to
// do first.
bool IsFailedByDisk(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsPermissionDenied(status) || absl::IsInternal(status);
}

}  // namespace

absl::Status WorkerServiceImpl::IsWorker(const grpc::ServerContextBase& context, const std::string& worker_id) const {
  const auto caller = callers_->Of(context);
  if (!caller.ok()) return caller.status();
  if (caller->name == absl::StrCat("worker/", worker_id)) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("worker_id: ", caller->name, " may not act for another worker"));
}

template <typename Request>
absl::Status WorkerServiceImpl::Admit(const grpc::ServerContextBase& context, const Request& request) const {
  absl::Status status = Validate(request);
  return status.ok() ? IsWorker(context, request.worker_id()) : status;
}

grpc::Status WorkerServiceImpl::Register(grpc::ServerContext* context, const v1::RegisterRequest* request,
                                         v1::RegisterResponse* response) {
  if (absl::Status status = Admit(*context, *request); !status.ok()) return ToGrpc(status);
  if (absl::Status status = MayAdvertise(*context, request->advertise()); !status.ok()) return ToGrpc(status);
  const auto keep = workers_->Register(FromProto(*request, PeerAddress(*context)), now_());
  if (!keep.ok()) return fail_stop_->AnswerWorker(keep.status());
  for (const LeaseToken& lease : *keep) ToProto(lease, response->add_keep());
  response->set_heartbeat_interval_ms(static_cast<int32_t>(workers_->options().heartbeat_interval_ms));
  response->set_lease_duration_ms(static_cast<int32_t>(workers_->options().lease_duration_ms));
  return grpc::Status::OK;
}

grpc::ServerUnaryReactor* WorkerServiceImpl::Lease(grpc::CallbackServerContext* context,
                                                   const v1::LeaseRequest* request, v1::LeaseResponse* response) {
  if (absl::Status status = Admit(*context, *request); !status.ok()) {
    grpc::ServerUnaryReactor* const refusal = context->DefaultReactor();
    refusal->Finish(ToGrpc(status));
    return refusal;
  }
  auto question = std::make_shared<LeaseDesk::Question>();
  question->request = FromProto(*request);
  question->wait = std::chrono::milliseconds(request->wait_ms());
  auto* const reactor = new LeaseReactor(desk_, question);  // deletes itself
  question->answer = [this, reactor, response](const LeaseDesk::Grants& grants, std::chrono::milliseconds waited) {
    if (!grants.ok()) return reactor->Finish(fail_stop_->AnswerWorker(grants.status()));
    for (const Grant& grant : *grants) ToProto(grant, response->add_grants());
    response->set_waited_ms(waited.count());
    reactor->Finish(grpc::Status::OK);
  };
  desk_->Ask(question);
  return reactor;
}

grpc::Status WorkerServiceImpl::Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                                          v1::HeartbeatResponse* response) {
  if (absl::Status status = Admit(*context, *request); !status.ok()) return ToGrpc(status);
  const auto result = workers_->Heartbeat(FromProto(*request), now_());
  if (!result.ok()) return fail_stop_->AnswerWorker(result.status());
  desk_->Hear(request->worker_id(), request->leaving() ? 0 : request->devices_free());
  for (const LeaseToken& lease : result->stale) ToProto(lease, response->add_stale());
  for (const LeaseToken& lease : result->cancel) ToProto(lease, response->add_cancel());
  for (const LeaseToken& lease : result->hand_back) ToProto(lease, response->add_hand_back());
  response->set_rest_ms(static_cast<int32_t>(workers_->options().rest_ms));
  return grpc::Status::OK;
}

grpc::Status WorkerServiceImpl::Report(grpc::ServerContext* context, const v1::ReportRequest* request,
                                       v1::ReportResponse* response) {
  if (absl::Status status = Admit(*context, *request); !status.ok()) return ToGrpc(status);
  const LogScope scope = ScopeOf(*request);
  // A worker that pauses as it is told is never refused; any other has it on its disk and sends it again.
  const Caller sender{.name = absl::StrCat("worker/", request->worker_id()), .role = Role::kWorker, .serial = ""};
  const absl::Status taken =
      rates_->Take(sender, Use::kReport, static_cast<double>(request->ByteSizeLong()), now_().steady_ms);
  if (!taken.ok()) return ToGrpc(taken);
  bool cancel = false;
  const auto durable =
      workers_->Report(request->worker_id(), FromProto(request->lease()), FromProto(*request), now_(), &cancel);
  if (!durable.ok()) return fail_stop_->AnswerWorker(durable.status());
  response->set_durable_seq(*durable);
  response->set_pause_ms(rates_->PauseMs(sender, Use::kReport, now_().steady_ms));
  response->set_cancel(cancel);
  return grpc::Status::OK;
}

grpc::Status WorkerServiceImpl::BeginCheckpoint(grpc::ServerContext* context, const v1::BeginCheckpointRequest* request,
                                                v1::BeginCheckpointResponse* response) {
  if (absl::Status status = Admit(*context, *request); !status.ok()) return ToGrpc(status);
  const LogScope scope = ScopeOf(*request);
  const CheckpointKey key = KeyOf(*request);
  const auto job = workers_->CheckLease(request->worker_id(), FromProto(request->lease()), now_());
  if (!job.ok()) return fail_stop_->AnswerWorker(job.status());
  if (absl::Status status = WorkerCalls::CheckStep(*job, key.step); !status.ok()) return ToGrpc(status);
  // Before what makes room: there is none to be made.
  if (absl::Status here = checkpoints_->CheckHere(); !here.ok()) return ToGrpc(here);
  RemoveLeftovers({key.job_id, key.fence, 0});
  const auto rows = queries_->ListCheckpoints(key.job_id);
  if (!rows.ok()) return fail_stop_->AnswerWorker(rows.status());
  const auto begin = [&] { return checkpoints_->Begin(key, request->manifest_hash(), FromProto(*request), *rows); };
  auto here = begin();
  if (absl::IsResourceExhausted(here.status())) {  // what nobody sends any more makes room first
    guard_->MakeRoom();
    checkpoints_->RemoveOthers(key, *rows);
    here = begin();
  }
  if (!here.ok() && !absl::IsInvalidArgument(here.status())) return AnswerNotStored(key.job_id, here.status());
  disk_->FoundRoom(key.job_id);
  if (!here.ok()) return ToGrpc(here.status());
  for (uint64_t bytes : *here) response->add_committed(bytes);
  return grpc::Status::OK;
}

grpc::Status WorkerServiceImpl::WriteCheckpoint(grpc::ServerContext* context,
                                                grpc::ServerReader<v1::WriteCheckpointRequest>* reader,
                                                v1::WriteCheckpointResponse* response) {
  const auto ticket = gate_->EnterTransfer(context);
  if (!ticket.ok()) return ToGrpc(ticket.status());
  v1::WriteCheckpointRequest first;
  if (!ticket->ReadFirst(reader, &first)) return ToGrpc(absl::InvalidArgumentError("the stream is empty"));
  absl::Status admitted = ValidateFirst(first);
  if (admitted.ok()) admitted = IsWorker(*context, first.worker_id());
  if (!admitted.ok()) return ToGrpc(admitted);
  const LogScope scope = ScopeOf(first);
  const auto job = workers_->CheckLease(first.worker_id(), FromProto(first.lease()), now_());
  if (!job.ok()) return fail_stop_->AnswerWorker(job.status());
  const CheckpointKey key = KeyOf(first);
  const auto bytes = ReceiveChunks(key, std::move(first), checkpoints_,
                                   [&](v1::WriteCheckpointRequest* next) { return ticket->ReadNext(reader, next); });
  if (IsFailedByDisk(bytes.status())) return AnswerNotStored(key.job_id, bytes.status());
  if (!bytes.ok()) return ToGrpc(bytes.status());
  response->set_bytes(*bytes);
  return grpc::Status::OK;
}

grpc::Status WorkerServiceImpl::CommitCheckpoint(grpc::ServerContext* context,
                                                 const v1::CommitCheckpointRequest* request,
                                                 v1::CommitCheckpointResponse*) {
  if (absl::Status status = Admit(*context, *request); !status.ok()) return ToGrpc(status);
  const LogScope scope = ScopeOf(*request);
  const auto ticket = gate_->EnterTransfer(context);
  if (!ticket.ok()) return ToGrpc(ticket.status());
  const LeaseToken lease = FromProto(request->lease());
  const auto job = workers_->CheckLease(request->worker_id(), lease, now_());
  if (!job.ok()) return fail_stop_->AnswerWorker(job.status());
  const auto files = checkpoints_->Commit(KeyOf(*request), request->manifest_hash());
  if (IsFailedByDisk(files.status())) return AnswerNotStored(lease.job_id, files.status());
  if (!files.ok()) return ToGrpc(files.status());
  const CheckpointCommit commit{.step = request->step(),
                                .manifest_hash = request->manifest_hash(),
                                .files = *files,
                                .events_seq = request->events_seq()};
  const auto dropped = workers_->CommitCheckpoint(request->worker_id(), lease, commit, now_());
  if (!dropped.ok()) return fail_stop_->AnswerWorker(dropped.status());
  disk_->WaitsNoMore(lease.job_id);
  RemoveLeftovers(KeyOf(*request));
  return grpc::Status::OK;
}

grpc::Status WorkerServiceImpl::FetchCheckpoint(grpc::ServerContext* context, const v1::FetchCheckpointRequest* request,
                                                grpc::ServerWriter<v1::CheckpointChunk>* writer) {
  if (absl::Status status = Admit(*context, *request); !status.ok()) return ToGrpc(status);
  const LogScope scope = ScopeOf(*request);
  const auto ticket = gate_->EnterTransfer(context);
  if (!ticket.ok()) return ToGrpc(ticket.status());
  const auto job = workers_->CheckLease(request->worker_id(), FromProto(request->lease()), now_());
  if (!job.ok()) return fail_stop_->AnswerWorker(job.status());
  const auto rows = queries_->ListCheckpoints(request->lease().job_id());
  if (!rows.ok()) return fail_stop_->AnswerWorker(rows.status());
  const absl::Status sent =
      guard_->Send(*rows, request->step(), SentTo::kWorker,
                   [&](const v1::CheckpointChunk& chunk) { return ticket->Write(writer, chunk); });
  // A store that fails says nothing of the checkpoint's bytes.
  return fail_stop_->failure().ok() ? ToGrpc(sent) : fail_stop_->AnswerWorker(sent);
}

grpc::Status WorkerServiceImpl::Finish(grpc::ServerContext* context, const v1::FinishRequest* request,
                                       v1::FinishResponse* response) {
  if (absl::Status status = Admit(*context, *request); !status.ok()) return ToGrpc(status);
  const LogScope scope = ScopeOf(*request);
  const auto state = workers_->Finish(FromProto(*request), now_());
  if (!state.ok()) return fail_stop_->AnswerWorker(state.status());
  response->set_state(static_cast<v1::JobState>(*state));
  disk_->WaitsNoMore(request->lease().job_id());
  RemoveLeftovers({request->lease().job_id(), request->lease().fence() + 1, 0});
  return grpc::Status::OK;
}

grpc::Status WorkerServiceImpl::AnswerNotStored(const std::string& job_id, const absl::Status& why) {
  disk_->Refused(job_id, why, now_().steady_ms);
  return ToGrpc(absl::ResourceExhaustedError(why.message()));
}

void WorkerServiceImpl::RemoveLeftovers(const CheckpointKey& next) {
  if (!checkpoints_->HasFolderOf(next.job_id) || !checkpoints_->CheckHere().ok()) return;
  const auto rows = queries_->ListCheckpoints(next.job_id);
  const absl::Status status = rows.ok() ? checkpoints_->KeepOnly(next, *rows) : rows.status();
  if (!status.ok()) spdlog::warn("job {}: old checkpoints stay for now: {}", next.job_id, status.ToString());
}

}  // namespace sink
