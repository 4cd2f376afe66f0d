// A real Server on a loopback port with its data in a temporary folder, a client, and a worker's side of the calls.
// Used by one thread unless said otherwise.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/client/coordinator_client.h"
#include "coordinator/server.h"
#include "tests/testing/joined_worker.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_checkpoint.h"

namespace sink::testing {

inline constexpr char kWorkerId[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
inline constexpr char kSession[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

inline std::string RequestId(int n) {
  std::string id(32, '0');
  id.back() = "0123456789abcdef"[n & 15];
  return id;
}

inline std::string SweepYaml(const std::string& name, const std::string& learning_rates, int devices = 1) {
  return "schema: sink/v1\nname: " + name +
         "\ndata: {set: tiny}\nexperiments:\n  - name: learning_rate\n    grid: {train.learning_rate: [" +
         learning_rates + "]}\nresources: {devices: " + std::to_string(devices) + "}\n";
}

inline v1::SubmitSweepRequest Submission(const std::string& yaml, int request = 1) {
  v1::SubmitSweepRequest submit;
  submit.set_request_id(RequestId(request));
  submit.set_entry("sweep.yaml");
  v1::SourceFile* file = submit.add_files();
  file->set_path("sweep.yaml");
  file->set_text(yaml);
  return submit;
}

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() { StartServer(); }

  ServerOptions Options() const {
    ServerOptions options;
    options.data = folder_ / "data";
    options.listen = listen_;
    options.metrics_listen = "127.0.0.1:0";
    options.page_listen = page_listen_;
    options.heartbeat_interval = heartbeat_interval_;
    options.lease_duration = lease_duration_;
    options.tick_interval = absl::Milliseconds(50);
    options.scrub_interval = scrub_interval_;
    options.disk_reserve = disk_reserve_;
    options.max_threads = max_threads_;
    options.first_message = first_message_;
    options.next_message = next_message_;
    if (adjust_) adjust_(&options);
    return options;
  }

  void StartServer() {
    auto server = Server::Start(Options());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
    listen_ = server_->address();  // a restart comes back at the same place
    client_ = NewClient();
  }
  // A worker that has joined under the id: another client of it, or always the same one.
  std::unique_ptr<CoordinatorClient> NewWorker(const std::string& id) {
    if (!joined_.contains(id)) joined_[id] = JoinAs(server_->address(), folder_ / "data/tls/admin", id);
    return *CoordinatorClient::Create({.address = server_->address(), .credential = joined_[id]});
  }
  CoordinatorClient& Worker(const std::string& id) {
    auto& worker = workers_[id];
    if (worker == nullptr) worker = NewWorker(id);
    return *worker;
  }
  CoordinatorClient& worker() { return Worker(kWorkerId); }
  // One with the admin's credential.
  std::unique_ptr<CoordinatorClient> NewClient() {
    return *CoordinatorClient::Create({.address = server_->address(), .credentials = folder_ / "data/tls/admin"});
  }
  void StopServer() { server_.reset(); }

  // Stores a sweep and returns the ids of its jobs.
  std::vector<std::string> Submit(const std::string& name, const std::string& learning_rates, int request = 1) {
    const auto response = client_->SubmitSweep(Submission(SweepYaml(name, learning_rates), request));
    EXPECT_TRUE(response.ok()) << response.status();
    std::vector<std::string> ids;
    if (response.ok()) {
      for (const auto& job : response->jobs()) ids.push_back(job.id());
    }
    return ids;
  }

  void RegisterWorker(int devices = 4) {
    v1::RegisterRequest request;
    request.set_worker_id(kWorkerId);
    request.set_session(kSession);
    request.set_name("node-1");
    request.set_devices(devices);
    request.set_device_kind("cpu");
    request.set_version("0.1.0");
    const auto response = worker().Register(request);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->lease_duration_ms(), absl::ToInt64Milliseconds(lease_duration_));
  }

  // Asks for work; at least one grant is expected.
  v1::Grant Lease(uint64_t poll = 1, int devices_free = 1) {
    v1::LeaseRequest request;
    request.set_worker_id(kWorkerId);
    request.set_session(kSession);
    request.set_poll(poll);
    request.set_devices_free(devices_free);
    const auto response = worker().Lease(request);
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok() || response->grants().empty()) {
      ADD_FAILURE() << "no grant";
      return {};
    }
    return response->grants(0);
  }

  // Submits one job, leases it to the worker and reports it running.
  // `more`: of the sweep's file.
  v1::Grant RunningJob(const std::string& sweep = "one", const std::string& more = "") {
    EXPECT_TRUE(client_->SubmitSweep(Submission(SweepYaml(sweep, "1e-3") + more)).ok());
    RegisterWorker();
    const v1::Grant grant = Lease();
    EXPECT_TRUE(Report(grant.lease(), 1,
                       {R"({"type":"hello","version":1,"pid":7,"device":"cpu","start_step":0,)"
                        R"("max_steps":100,"parameters":10})"})
                    .ok());
    return grant;
  }

  template <typename Request>
  static Request Leased(const v1::LeaseRef& lease) {
    Request request;
    request.set_worker_id(kWorkerId);
    *request.mutable_lease() = lease;
    return request;
  }

  absl::StatusOr<v1::ReportResponse> Report(const v1::LeaseRef& lease, uint64_t first_seq,
                                            const std::vector<std::string>& records) {
    auto request = Leased<v1::ReportRequest>(lease);
    for (const std::string& record : records) {
      v1::Event* event = request.add_events();
      event->set_seq(first_seq++);
      event->set_record(record);
    }
    return worker().Report(request);
  }

  absl::StatusOr<v1::FinishResponse> Finish(const v1::LeaseRef& lease, uint64_t last_seq,
                                            v1::JobState outcome = v1::SUCCEEDED) {
    auto request = Leased<v1::FinishRequest>(lease);
    request.set_outcome(outcome);
    if (outcome == v1::FAILED) request.set_failure_class(v1::USER);
    request.set_last_seq(last_seq);
    return worker().Finish(request);
  }

  absl::StatusOr<v1::BeginCheckpointResponse> Begin(const v1::LeaseRef& lease, int64_t step,
                                                    const TestCheckpoint& checkpoint) {
    auto request = Leased<v1::BeginCheckpointRequest>(lease);
    request.set_step(step);
    checkpoint.Of(step).AddTo(&request);
    return worker().BeginCheckpoint(request);
  }

  absl::Status Write(const v1::LeaseRef& lease, int64_t step, const std::string& name, const std::string& content,
                     uint64_t offset = 0) {
    const std::string path = folder_ / "to-send";
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    auto request = Leased<v1::WriteCheckpointRequest>(lease);
    request.set_step(step);
    request.set_file(name);
    request.set_offset(offset);
    return worker().WriteCheckpointFile(request, path).status();
  }

  absl::Status Commit(const v1::LeaseRef& lease, int64_t step, const TestCheckpoint& checkpoint,
                      uint64_t events_seq = 1) {
    auto request = Leased<v1::CommitCheckpointRequest>(lease);
    request.set_step(step);
    request.set_manifest_hash(checkpoint.Of(step).hash());
    request.set_events_seq(events_seq);
    return worker().CommitCheckpoint(request).status();
  }

  absl::Status Upload(const v1::LeaseRef& lease, int64_t step, const TestCheckpoint& checkpoint) {
    if (const auto begun = Begin(lease, step, checkpoint); !begun.ok()) return begun.status();
    const TestCheckpoint whole = checkpoint.Of(step);
    for (const auto& [name, content] : whole.files) {
      if (absl::Status status = Write(lease, step, name, content); !status.ok()) return status;
    }
    return Commit(lease, step, checkpoint);
  }

  std::string CheckpointFolder(const v1::LeaseRef& lease, int64_t step) const {
    return (folder_ / "data/checkpoints/") + lease.job_id() + "/" + std::to_string(lease.fence()) + "/step-" +
           std::to_string(step);
  }

  absl::Duration heartbeat_interval_ = absl::Seconds(5);
  absl::Duration lease_duration_ = absl::Seconds(60);
  absl::Duration scrub_interval_ = absl::Hours(24);
  uint64_t disk_reserve_ = 64 << 20;  // so much has every disk on which the tests run
  int max_threads_ = 512;
  absl::Duration first_message_ = ServerOptions().first_message, next_message_ = ServerOptions().next_message;
  std::function<void(ServerOptions*)> adjust_;  // what else a test wants
  std::string listen_ = "127.0.0.1:0";
  std::string page_listen_;
  TempDir folder_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<CoordinatorClient> client_;                          // with the admin's credential
  std::map<std::string, identity::Credential> joined_;                 // by worker's id
  std::map<std::string, std::unique_ptr<CoordinatorClient>> workers_;  // likewise
};

}  // namespace sink::testing
