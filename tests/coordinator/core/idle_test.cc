// How often the store is asked for a worker: for an idle one's heartbeats never, for a grant in a row of them once.
#include <gtest/gtest.h>

#include "coordinator/core/job_manager.h"
#include "coordinator/store/memory_store.h"

namespace sink {
namespace {

class CountingStore final : public store::JobStore {
 public:
  absl::Status Write(const std::function<absl::Status(store::Transaction&)>& body) override {
    ++used;
    return store_.Write(body);
  }
  absl::Status Read(const std::function<absl::Status(store::Snapshot&)>& body) override {
    ++used;
    return store_.Read(body);
  }

  int used = 0;

 private:
  store::MemoryStore store_;
};

class IdleTest : public ::testing::Test {
 protected:
  IdleTest() { Restart(); }
  void Restart() {
    CoreOptions options;
    options.new_lease_id = [] { return std::string("lease"); };
    options.heartbeat_interval_ms = 5'000;
    options.lease_duration_ms = 60'000;
    options.rest_ms = 40'000;
    manager_.reset();
    auto started = JobManager::Start(&store_, options, nullptr, now_);
    ASSERT_TRUE(started.ok()) << started.status();
    manager_ = std::move(*started);
  }
  void Register(const std::string& session, int devices = 1) {
    RegisterRequest request;
    request.worker_id = request.name = "w";
    request.session = session;
    request.devices = devices;
    ASSERT_TRUE(manager_->workers().Register(request, now_).ok());
  }
  absl::Status Beat(const std::string& session) {
    return manager_->workers().Heartbeat({"w", session, {}, 1}, now_).status();
  }

  absl::Status Leave(const std::string& session) {
    return manager_->workers().Heartbeat({.worker_id = "w", .session = session, .leaving = true}, now_).status();
  }

  size_t Ask(int64_t wait_ms) {
    const LeaseRequest request{
        .worker_id = "w", .session = "a", .poll = ++poll_, .devices_free = 1, .wait_ms = wait_ms};
    const auto grants = manager_->dispatcher().AcquireLeases(request, now_);
    EXPECT_TRUE(grants.ok()) << grants.status();
    return grants.ok() ? grants->size() : 0;
  }
  WorkerState StateAfter(int64_t ms) {
    const auto workers = manager_->queries().ListWorkers({now_.unix_ms + ms, now_.steady_ms + ms});
    EXPECT_TRUE(workers.ok() && workers->size() == 1u);
    return workers->front().state;
  }

  uint64_t poll_ = 0;
  CountingStore store_;
  Now now_{1'000'000, 500};
  std::unique_ptr<JobManager> manager_;
};

TEST_F(IdleTest, AnIdleHeartbeatReadsNothing) {
  Register("a");
  store_.used = 0;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Beat("a").ok());
  EXPECT_EQ(store_.used, 0);
}

TEST_F(IdleTest, AfterARestartTheFirstReadsWhoIsWho) {
  Register("a");
  Restart();
  store_.used = 0;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Beat("a").ok());
  EXPECT_EQ(store_.used, 1);
}

TEST_F(IdleTest, AQuestionAfterOneThatGotAJobDoesNotLookBeforeItWrites) {
  Register("a", /*devices=*/8);
  SubmitRequest sweep;
  sweep.sweep = "s";
  for (int n = 0; n < 2; ++n) {
    sweep.jobs.push_back({.id = std::string(31, 'a') + std::to_string(n), .config_json = "{}", .index = n});
  }
  ASSERT_TRUE(manager_->clients().Submit(sweep, now_).ok());
  const auto uses = [this](size_t granted) {
    store_.used = 0;
    EXPECT_EQ(Ask(/*wait_ms=*/0), granted);
    return store_.used;
  };
  EXPECT_EQ(uses(/*granted=*/1), 2) << "a look and a grant";
  EXPECT_EQ(uses(/*granted=*/1), 1) << "a grant";
  EXPECT_EQ(uses(/*granted=*/0), 1) << "a write that finds nothing";
  EXPECT_EQ(uses(/*granted=*/0), 1) << "a look";
}

TEST_F(IdleTest, AWorkerWhoseQuestionWaitsMaySayNothingForAWhileAndIsMissedWithinALease) {
  Register("a");
  EXPECT_EQ(StateAfter(11'000), WorkerState::kDisconnected);
  Ask(/*wait_ms=*/30'000);
  EXPECT_EQ(StateAfter(50'000), WorkerState::kConnected);
  EXPECT_EQ(StateAfter(50'001), WorkerState::kDisconnected);
  EXPECT_EQ(StateAfter(60'001), WorkerState::kGone);
  ASSERT_TRUE(Beat("a").ok());  // as a worker does whose question is old
  EXPECT_EQ(StateAfter(50'000), WorkerState::kConnected);
}

TEST_F(IdleTest, AWorkerThatLeavesItsQuestionOrDoesNotWaitIsMissedAsSoonAsAnyOther) {
  Register("a");
  Ask(30'000);
  manager_->dispatcher().HasLeft("w");
  EXPECT_EQ(StateAfter(10'000), WorkerState::kConnected);
  EXPECT_EQ(StateAfter(10'001), WorkerState::kDisconnected);
  Ask(30'000);
  Ask(0);
  EXPECT_EQ(StateAfter(10'001), WorkerState::kDisconnected);
  Ask(30'000);
  Register("a");
  EXPECT_EQ(StateAfter(10'001), WorkerState::kDisconnected);
}

TEST_F(IdleTest, OnlyAWorkerThatWasMissedLetsAGangLookAgainWithTheSameDevices) {
  Register("a");
  const auto version = [this] { return manager_->dispatcher().placement().version(); };
  const uint64_t before = version();
  now_.steady_ms += 10'000;
  ASSERT_TRUE(Beat("a").ok());
  EXPECT_EQ(version(), before);
  now_.steady_ms += 10'001;
  ASSERT_TRUE(Beat("a").ok());
  EXPECT_GT(version(), before);
}

TEST_F(IdleTest, AWorkerThatLeavesCountsNoMoreAtOnceThoughItsQuestionMayWaitLong) {
  Register("a", /*devices=*/4);
  Ask(/*wait_ms=*/30'000);
  ASSERT_EQ(manager_->queries().CountFleet(now_)->devices, 4);
  store_.used = 0;
  now_.unix_ms += 2'000;
  now_.steady_ms += 2'000;
  ASSERT_TRUE(Leave("a").ok());
  EXPECT_EQ(store_.used, 0);
  EXPECT_EQ(StateAfter(0), WorkerState::kStopped);
  const FleetSize fleet = *manager_->queries().CountFleet(now_);
  EXPECT_EQ(fleet.workers + fleet.devices + fleet.devices_free, 0);
  const Stats stats = *manager_->queries().GetStats(now_);
  EXPECT_EQ(stats.workers_connected, 0);
  EXPECT_EQ(stats.workers_stopped, 1);
  EXPECT_EQ(manager_->queries().ListWorkers(now_)->front().last_seen_ms, now_.unix_ms) << "since when";
  EXPECT_EQ(StateAfter(600'000), WorkerState::kStopped) << "it is not missed, however long it stays away";
}

TEST_F(IdleTest, AWorkerThatIsHeardAfterItsGoodbyeIsConnectedAgain) {
  Register("a");
  ASSERT_TRUE(Leave("a").ok());
  ASSERT_TRUE(Beat("a").ok());  // it came late
  EXPECT_EQ(StateAfter(10'000), WorkerState::kConnected);
  EXPECT_EQ(StateAfter(10'001), WorkerState::kDisconnected);
  ASSERT_TRUE(Leave("a").ok());
  Ask(/*wait_ms=*/0);
  EXPECT_EQ(StateAfter(0), WorkerState::kStopped) << "a question that the goodbye has overtaken";
  Register("a");
  EXPECT_EQ(StateAfter(0), WorkerState::kConnected);
}

TEST_F(IdleTest, AGoodbyeOfAnEarlierDaemonLeavesItsSuccessorAlone) {
  Register("a");
  ASSERT_TRUE(Leave("a").ok());
  Register("b");
  EXPECT_EQ(Leave("a").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(StateAfter(0), WorkerState::kConnected);
  Restart();
  EXPECT_EQ(Leave("a").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(StateAfter(0), WorkerState::kDisconnected) << "not heard since the restart";
  ASSERT_TRUE(Leave("b").ok());
  EXPECT_EQ(StateAfter(0), WorkerState::kStopped) << "though this is the first that the coordinator hears";
}

TEST_F(IdleTest, OnlyAWorkerThatWasConnectedLetsOthersLookAgainWhenItLeaves) {
  Register("a");
  const auto version = [this] { return manager_->dispatcher().placement().version(); };
  const uint64_t before = version();
  ASSERT_TRUE(Leave("a").ok());
  const uint64_t after = version();
  EXPECT_GT(after, before);
  ASSERT_TRUE(Leave("a").ok());  // a second copy
  EXPECT_EQ(version(), after);
  ASSERT_TRUE(Beat("a").ok());
  EXPECT_GT(version(), after) << "a gang may have waited for it";
}

TEST_F(IdleTest, AnOlderDaemonIsStillToldSo) {
  Register("a");
  ASSERT_TRUE(Beat("a").ok());
  Register("b");
  EXPECT_EQ(Beat("a").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Beat("b").ok());
  EXPECT_EQ(manager_->workers().Heartbeat({"nobody", "a", {}, 1}, now_).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace sink
