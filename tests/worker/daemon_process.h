// A daemon in a process of its own, for tests that kill it, and the fake coordinator over gRPC that it talks to.
#pragma once

#include <grpcpp/server.h>
#include <sys/types.h>

#include <memory>
#include <string>

#include "sink/v1/worker.grpc.pb.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/daemon.h"

namespace sink::worker {

// Options for a daemon that runs fake trainers, quick enough for tests.
DaemonOptions FakeTrainerOptions(const std::string& data);

// The body of the child process: a daemon until SIGTERM.
int RunDaemon(const std::string& address, const std::string& data);

// Starts this program again as a daemon; returns its pid.
pid_t StartDaemon(const std::string& address, const std::string& data);

// Serves a FakeCoordinator on a free port of the loopback.
class FakeServer : public v1::WorkerService::Service {
 public:
  explicit FakeServer(FakeCoordinator* coordinator);
  ~FakeServer() override;
  const std::string& address() const { return address_; }
  std::string credentials() const { return folder_ / "worker"; }  // of a worker that has joined

 private:
  grpc::Status Register(grpc::ServerContext*, const v1::RegisterRequest*, v1::RegisterResponse*) override;
  grpc::Status Lease(grpc::ServerContext*, const v1::LeaseRequest*, v1::LeaseResponse*) override;
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest*, v1::HeartbeatResponse*) override;
  grpc::Status Report(grpc::ServerContext*, const v1::ReportRequest*, v1::ReportResponse*) override;
  grpc::Status BeginCheckpoint(grpc::ServerContext*, const v1::BeginCheckpointRequest*,
                               v1::BeginCheckpointResponse*) override;
  grpc::Status WriteCheckpoint(grpc::ServerContext*, grpc::ServerReader<v1::WriteCheckpointRequest>*,
                               v1::WriteCheckpointResponse*) override;
  grpc::Status CommitCheckpoint(grpc::ServerContext*, const v1::CommitCheckpointRequest*,
                                v1::CommitCheckpointResponse*) override;
  grpc::Status Finish(grpc::ServerContext*, const v1::FinishRequest*, v1::FinishResponse*) override;

  FakeCoordinator* const coordinator_;
  testing::TempDir folder_;  // of its authority
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace sink::worker
