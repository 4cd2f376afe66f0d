// A terminal that is closed (SIGHUP) stops the daemons as SIGTERM does, with what they save and say, unless they were
// started to outlive it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/testing/test_cluster.h"

namespace sink {
namespace {

using testing::ChildProcess;
using testing::ReadFile;
using testing::TestCluster;
using testing::TinySweep;
using testing::WaitFor;

constexpr char kStops[] = "stopping as soon as the trainers have saved";

std::string Binary(const std::string& name) { return std::string(getenv("SINK_BIN_DIR")) + "/" + name; }

// Whether the program is so far that SIGHUP does not end it at once: it is blocked, for a thread that waits for it.
bool TakesHangup(pid_t pid) {
  const std::string status = ReadFile("/proc/" + std::to_string(pid) + "/status"), field = "SigBlk:\t";
  const size_t digits = status.find(field);
  if (digits == std::string::npos) return false;
  return (std::stoull(status.substr(digits + field.size(), 16), nullptr, 16) >> (SIGHUP - 1) & 1) != 0;
}

class Hangup : public ::testing::Test {
 protected:
  // Whatever the tests themselves were started by.
  Hangup() : before_(signal(SIGHUP, SIG_DFL)) {}
  ~Hangup() override { signal(SIGHUP, before_); }

 private:
  const sighandler_t before_;
};

TEST_F(Hangup, StopsAWorkerThatSavesACoordinatorAndACommandThatFollows) {
  TestCluster cluster({.workers = 1});
  const std::string file = cluster.WriteSweep("long.yaml", TinySweep("long", 1000000, {"1e-3"}));
  ASSERT_EQ(cluster.Sinkctl({"submit", file}).exit_code, 0);
  ASSERT_TRUE(WaitFor(60, [&] { return cluster.Jobs("long").begin()->second.value("step", 0) > 20; }));

  ChildProcess follow({Binary("sinkctl"), "wait", "long", "--coordinator", cluster.address()}, cluster.path("follow"));
  ASSERT_TRUE(WaitFor(20, [&] { return TakesHangup(follow.pid()); }));
  follow.Signal(SIGHUP);
  const int followed = follow.Wait(20);
  EXPECT_TRUE(WIFEXITED(followed) && WEXITSTATUS(followed) == 130) << ReadFile(cluster.path("follow"));

  // A shell sends it, and the kernel once more when the shell has gone: the second one is no wish to kill.
  for (int sent = 0; sent < 2; ++sent) {
    cluster.worker(0).Signal(SIGHUP);
    ASSERT_TRUE(
        WaitFor(20, [&] { return ReadFile(cluster.path("logs/worker-0.log")).find(kStops) != std::string::npos; }));
  }
  const int worked = cluster.worker(0).Wait(60);
  EXPECT_TRUE(WIFEXITED(worked) && WEXITSTATUS(worked) == 0);
  EXPECT_TRUE(cluster.Trainers().empty());
  const nlohmann::json job = cluster.Jobs("long").begin()->second;
  EXPECT_EQ(job.value("state", ""), "QUEUED") << job.dump();
  const std::string checkpoints = cluster.Sinkctl({"checkpoint", "list", job.value("id", ""), "--json"}).out;
  EXPECT_NE(checkpoints.find("\"step\""), std::string::npos) << checkpoints;

  cluster.coordinator().Signal(SIGHUP);
  const int served = cluster.coordinator().Wait(20);
  EXPECT_TRUE(WIFEXITED(served) && WEXITSTATUS(served) == 0);
  EXPECT_NE(ReadFile(cluster.path("logs/coordinator.log")).find("stopping"), std::string::npos);
}

TEST_F(Hangup, DoesNotStopDaemonsThatWereStartedByNohup) {
  signal(SIGHUP, SIG_IGN);
  TestCluster cluster({.workers = 1});
  ASSERT_TRUE(
      WaitFor(20, [&] { return ReadFile(cluster.path("logs/worker-0.log")).find("joined") != std::string::npos; }));
  for (ChildProcess* daemon : {&cluster.worker(0), &cluster.coordinator()}) {
    daemon->Signal(SIGHUP);
    EXPECT_FALSE(WaitFor(1, [&] { return !daemon->Running(); }));
  }
  EXPECT_EQ(ReadFile(cluster.path("logs/worker-0.log")).find(kStops), std::string::npos);
}

}  // namespace
}  // namespace sink
