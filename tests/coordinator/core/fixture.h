// A JobManager over a store with a clock that the test moves, and a worker that speaks to it. Used by one thread.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "coordinator/core/job_manager.h"
#include "coordinator/store/memory_store.h"
#include "proto/pipe/events.h"

namespace sink {

inline std::string Id(int n) {
  const std::string digits = std::to_string(n);
  return std::string(8 - digits.size(), '0') + digits + std::string(24, 'a');
}

class ManagerTest : public ::testing::Test, public JobEventListener {
 protected:
  ManagerTest() { Restart(); }

  void JobDispatched(double seconds) override { dispatched.push_back(seconds); }
  void LeaseExpired() override { ++expirations; }
  void CheckpointCommitted(uint64_t bytes) override { checkpoint_bytes += bytes; }

  // A coordinator that ends and starts again on the same store.
  void Restart() {
    CoreOptions options;
    options.heartbeat_interval_ms = 1'000;
    options.lease_duration_ms = 10'000;
    options.keep_points = keep_points;
    options.new_lease_id = [this] { return "lease-" + std::to_string(++lease_ids_); };
    manager.reset();
    auto started = JobManager::Start(&store, options, this, now);
    ASSERT_TRUE(started.ok()) << started.status();
    manager = std::move(*started);
  }

  void Advance(int64_t ms) { now = {now.unix_ms + ms, now.steady_ms + ms}; }
  // Time in steps of a second, with a Tick in each.
  void Pass(int64_t ms) {
    for (; ms > 0; ms -= 1000) {
      Advance(std::min<int64_t>(ms, 1000));
      ASSERT_TRUE(manager->expiry().Tick(now).ok());
    }
  }

  SubmitRequest Sweep(const std::vector<int>& jobs, const std::string& name = "s") {
    SubmitRequest request;
    request.sweep = name;
    request.retry_budget = {.infra = 10, .out_of_memory = 0, .nan = 1, .user = 0};
    for (int n : jobs) {
      SubmitJob& job = request.jobs.emplace_back();
      job.id = Id(n);
      job.config_json = "{}";
      job.experiment = "e";
      job.label = "n=" + std::to_string(n);
      job.index = static_cast<int>(request.jobs.size()) - 1;
      job.max_steps = job_steps;
    }
    return request;
  }
  void Submit(const std::vector<int>& jobs) { ASSERT_TRUE(manager->clients().Submit(Sweep(jobs), now).ok()); }

  void Register(const std::string& worker = "w", const std::vector<Lease>& held = {},
                const std::string& session = "a") {
    RegisterRequest request;
    request.worker_id = request.name = worker;
    request.session = session;
    request.devices = 8;
    request.held = held;
    auto kept = manager->workers().Register(request, now);
    ASSERT_TRUE(kept.ok()) << kept.status();
    keep = *kept;
  }
  std::vector<Grant> Poll(uint64_t poll, int devices_free = 1, const std::string& worker = "w",
                          const std::string& session = "a") {
    auto grants = manager->dispatcher().AcquireLeases({worker, session, poll, devices_free}, now);
    EXPECT_TRUE(grants.ok()) << grants.status();
    return grants.ok() ? *grants : std::vector<Grant>();
  }
  absl::StatusOr<HeartbeatResult> Heartbeat(const std::vector<Lease>& held, JobState phase = JobState::kRunning,
                                            const std::string& worker = "w", const std::string& session = "a") {
    HeartbeatRequest request{worker, session, {}, 0};
    for (const Lease& lease : held) request.held.push_back({lease, phase});
    return manager->workers().Heartbeat(request, now);
  }
  // Submits nothing: takes the next job and starts its trainer.
  Lease Start(uint64_t poll, const std::string& worker = "w") {
    const std::vector<Grant> grants = Poll(poll, 1, worker);
    EXPECT_EQ(grants.size(), 1u);
    if (grants.empty()) return {};
    EXPECT_TRUE(manager->workers().Report(worker, grants[0].lease, {Hello(1)}, now).ok());
    return grants[0].lease;
  }
  absl::StatusOr<JobState> Finish(const Lease& lease, JobState outcome, FailureClass failure = FailureClass::kNone,
                                  uint64_t last_seq = 0, const std::string& worker = "w") {
    return manager->workers().Finish({worker, lease, outcome, failure, "why", last_seq}, now);
  }

  static Event Hello(uint64_t seq, int64_t step = 0) {
    return {seq, pipe::Encode(pipe::Hello{.pid = 1, .device = "cpu", .start_step = step, .max_steps = 100}), 1};
  }
  static Event Progress(uint64_t seq, int64_t step) { return {seq, pipe::Encode(pipe::Progress{step, step, 1.0}), 1}; }
  static Event Metric(uint64_t seq, int64_t step, double value, const std::string& name = "train_loss") {
    return {seq, pipe::Encode(pipe::Metrics{step, {{name, value}}}), 1};
  }

  Job Get(int n = 1) {
    auto details = manager->queries().GetJob(Id(n));
    EXPECT_TRUE(details.ok()) << details.status();
    return details.ok() ? details->job : Job();
  }
  JobState State(int n = 1) { return Get(n).state; }

  Now now{1'000'000, 500};
  int64_t job_steps = 100;      // of the jobs that are submitted
  RetentionPolicy keep_points;  // from the next Restart on
  store::MemoryStore store;
  std::unique_ptr<JobManager> manager;
  std::vector<Lease> keep;
  std::vector<double> dispatched;
  int expirations = 0;
  uint64_t checkpoint_bytes = 0;

 private:
  int lease_ids_ = 0;
};

}  // namespace sink
