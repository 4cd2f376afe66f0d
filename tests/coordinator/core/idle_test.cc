// What an idle worker costs: its heartbeats are answered from memory.
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
    manager_.reset();
    auto started = JobManager::Start(&store_, options, nullptr, now_);
    ASSERT_TRUE(started.ok()) << started.status();
    manager_ = std::move(*started);
  }
  void Register(const std::string& session) {
    RegisterRequest request;
    request.worker_id = request.name = "w";
    request.session = session;
    request.devices = 1;
    ASSERT_TRUE(manager_->workers().Register(request, now_).ok());
  }
  absl::Status Beat(const std::string& session) {
    return manager_->workers().Heartbeat({"w", session, {}, 1}, now_).status();
  }

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
