// See daemon_process.h.
#include "tests/worker/daemon_process.h"

#include <grpcpp/server_builder.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "coordinator/errors/grpc_status.h"
#include "coordinator/identity/authority.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/identity/credential.h"
#include "coordinator/identity/tls.h"
#include "worker/client_link.h"
#include "worker/data_folder.h"

namespace sink::worker {
namespace {

template <typename Response>
grpc::Status Answer(const absl::StatusOr<Response>& result, Response* response) {
  if (result.ok()) *response = *result;
  return ToGrpc(result.status());
}

}  // namespace

DaemonOptions FakeTrainerOptions(const std::string& data) {
  DaemonOptions options;
  options.name = "test";
  options.version = "test";
  options.runner.worker_id = "worker";
  options.runner.data = data;
  options.runner.data_root = data;
  options.runner.trainer = "/proc/self/exe";
  options.runner.environment = {"PATH=/usr/bin:/bin"};
  options.runner.limits.grace = absl::Seconds(2);
  options.poll_interval = absl::Milliseconds(20);
  return options;
}

int RunDaemon(const std::string& address, const std::string& data) {
  spdlog::set_level(spdlog::level::warn);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto folder = DataFolder::Open(data);
  auto link = MakeClientLink({.address = address, .folder = getenv("SINK_CREDENTIALS"), .worker_id = "worker"});
  if (!folder.ok() || !link.ok()) return 1;
  Daemon daemon(link->get(), *FindDevices("cpu:2", nullptr), FakeTrainerOptions(folder->path()));
  daemon.Start();
  int signal = 0;
  sigwait(&signals, &signal);
  daemon.BeginDrain();
  return daemon.WaitUntilFinished(absl::Seconds(30)) ? 0 : 1;
}

pid_t StartDaemon(const std::string& address, const std::string& data) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  execl("/proc/self/exe", "test_worker", "--daemon", address.c_str(), data.c_str(), nullptr);
  _exit(127);
}

FakeServer::FakeServer(FakeCoordinator* coordinator) : coordinator_(coordinator) {
  int port = 0;
  const auto authority = identity::Authority::Open(folder_ / "tls", {}, absl::Now());
  const std::string key = *identity::MakeKey();
  const auto issued =
      authority->Issue(*identity::PublicKeyOfKey(key), "sink://worker/worker", absl::Hours(1), absl::Now());
  const absl::Status written = identity::WriteCredential(
      credentials(), {.authority = authority->certificate(), .certificate = issued->certificate, .key = key});
  if (!written.ok()) abort();
  setenv("SINK_CREDENTIALS", credentials().c_str(), 1);  // for the daemons that are started
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", identity::MakeServerCredentials(authority->server_folder()), &port);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeServer::~FakeServer() { server_->Shutdown(std::chrono::system_clock::now()); }

grpc::Status FakeServer::Register(grpc::ServerContext*, const v1::RegisterRequest* request,
                                  v1::RegisterResponse* response) {
  return Answer(coordinator_->Register(*request), response);
}
grpc::Status FakeServer::Lease(grpc::ServerContext*, const v1::LeaseRequest* request, v1::LeaseResponse* response) {
  return Answer(coordinator_->Lease(*request), response);
}
grpc::Status FakeServer::Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                                   v1::HeartbeatResponse* response) {
  return Answer(coordinator_->Heartbeat(*request), response);
}
grpc::Status FakeServer::Report(grpc::ServerContext*, const v1::ReportRequest* request, v1::ReportResponse* response) {
  return Answer(coordinator_->Report(*request), response);
}
grpc::Status FakeServer::BeginCheckpoint(grpc::ServerContext*, const v1::BeginCheckpointRequest* request,
                                         v1::BeginCheckpointResponse* response) {
  return Answer(coordinator_->BeginCheckpoint(*request), response);
}
grpc::Status FakeServer::WriteCheckpoint(grpc::ServerContext*, grpc::ServerReader<v1::WriteCheckpointRequest>* reader,
                                         v1::WriteCheckpointResponse*) {
  v1::LeaseRef lease;
  int64_t step = 0;
  for (v1::WriteCheckpointRequest request; reader->Read(&request);) {
    if (request.has_lease()) {
      lease = request.lease();
      step = request.step();
    }
    auto status = coordinator_->WriteBytes(lease, step, request.file(), request.offset(), request.data());
    if (!status.ok()) return ToGrpc(status);
  }
  return grpc::Status::OK;
}
grpc::Status FakeServer::CommitCheckpoint(grpc::ServerContext*, const v1::CommitCheckpointRequest* request,
                                          v1::CommitCheckpointResponse*) {
  return ToGrpc(coordinator_->CommitCheckpoint(*request));
}
grpc::Status FakeServer::Finish(grpc::ServerContext*, const v1::FinishRequest* request, v1::FinishResponse* response) {
  return Answer(coordinator_->Finish(*request), response);
}

}  // namespace sink::worker
