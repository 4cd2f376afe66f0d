// A daemon whose trainer does not die of SIGKILL: its job ends and goes on, its devices wait for its end, and nothing
// else does.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/pipe/events.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_coordinator.h"
#include "tests/worker/undead_process.h"
#include "worker/process_tree.h"

namespace sink::worker {
namespace {

using Attempt = FakeCoordinator::Attempt;

constexpr char kEndless[] = R"({"steps": 1000000, "step_ms": 2, "checkpoint_every": 20, "ignore_stop": 1})";

bool HasCheckpoint(const Attempt& attempt) { return !attempt.committed.empty(); }

class UndeadTrainer : public ::testing::Test {
 protected:
  UndeadTrainer() : options_(FakeTrainerOptions(dir_.path().string())) {
    options_.runner.limits.grace = absl::Milliseconds(300);
    options_.runner.limits.hang = absl::Seconds(2);
    options_.runner.limits.cleanup = absl::Milliseconds(500);
  }
  void Start(const std::string& devices) {
    daemon_.emplace(&coordinator_, *FindDevices(devices, nullptr), options_);
    daemon_->Start();
  }
  // The trainer of that mark, once it is past its start; 0 after ten seconds.
  pid_t WaitForTrainer(const std::string& marker) {
    for (int i = 0; i < 1000; ++i, absl::SleepFor(absl::Milliseconds(10))) {
      if (!std::filesystem::exists(marker + "/environment.txt")) continue;
      if (const std::vector<pid_t> pids = ProcessesOfRun(marker, 0); pids.size() == 1) return pids.front();
    }
    return 0;
  }
  v1::FinishRequest FinishOf(const std::string& lease) {
    EXPECT_TRUE(coordinator_.WaitForFinish(lease));
    const Attempt attempt = coordinator_.attempt(lease);
    return attempt.finishes.empty() ? v1::FinishRequest() : attempt.finishes.back();
  }
  // Until heartbeats tell so many while no job is held.
  bool WaitForFreeDevices(int free) {
    for (int i = 0; i < 1000; ++i, absl::SleepFor(absl::Milliseconds(10))) {
      const v1::HeartbeatRequest heartbeat = coordinator_.last_heartbeat();
      if (heartbeat.held_size() == 0 && heartbeat.devices_free() == free) return true;
    }
    return false;
  }
  std::string Run() { return dir_ / "jobs/job1/1-1"; }

  testing::TempDir dir_;
  FakeCoordinator coordinator_;
  DaemonOptions options_;
  std::optional<Daemon> daemon_;
};

TEST_F(UndeadTrainer, EndsItsAttemptAndKeepsItsDeviceUntilItIsGone) {
  const std::string lease = coordinator_.AddJob("job1", kEndless);
  Start("cpu:2");
  ASSERT_TRUE(coordinator_.WaitFor(lease, HasCheckpoint));
  const pid_t pid = WaitForTrainer(Run());
  ASSERT_GT(pid, 0);
  UndeadProcess undead(pid);
  if (!undead.traced()) GTEST_SKIP() << "no process may trace another here";
  kill(pid, SIGSTOP);  // it hangs
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_EQ(finish.outcome(), v1::FAILED);
  EXPECT_EQ(finish.failure_class(), v1::INFRA);
  EXPECT_TRUE(finish.message().starts_with(absl::StrCat("the trainer (pid ", pid, ") does not die of SIGKILL")))
      << finish.message();
  EXPECT_TRUE(WaitForFreeDevices(1));

  // The job comes back, to the other device, and goes on from what the first attempt has saved.
  const v1::Checkpoint saved = coordinator_.attempt(lease).committed.rbegin()->second;
  const std::string again = coordinator_.AddJob("job1", absl::StrCat(R"({"steps": )", saved.step() + 3, "}"), saved);
  EXPECT_EQ(FinishOf(again).outcome(), v1::SUCCEEDED) << FinishOf(again).message();
  const auto first = pipe::Parse(coordinator_.attempt(again).records.at(0));
  ASSERT_TRUE(first.event.has_value() && std::holds_alternative<pipe::Hello>(*first.event));
  EXPECT_EQ(std::get<pipe::Hello>(*first.event).start_step, saved.step());
  EXPECT_TRUE(std::filesystem::exists(dir_ / "jobs/job1/1-2/job.json")) << "in a folder of its own";
  EXPECT_TRUE(WaitForFreeDevices(1));

  undead.Release();
  EXPECT_TRUE(WaitForFreeDevices(2));
}

TEST_F(UndeadTrainer, ItsWorkerIsHeardAtEachIntervalThoughItHasNothingToOffer) {
  coordinator_.set_rest(absl::Minutes(1));  // for one whose question waits, and this one asks nothing
  const std::string lease = coordinator_.AddJob("job1", kEndless);
  Start("cpu:1");
  const pid_t pid = WaitForTrainer(Run());
  ASSERT_GT(pid, 0);
  UndeadProcess undead(pid);
  if (!undead.traced()) GTEST_SKIP() << "no process may trace another here";
  kill(pid, SIGSTOP);
  EXPECT_EQ(FinishOf(lease).outcome(), v1::FAILED);
  ASSERT_TRUE(WaitForFreeDevices(0));
  const int before = coordinator_.heartbeats();
  for (int i = 0; i < 1000 && coordinator_.heartbeats() < before + 3; ++i) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_GE(coordinator_.heartbeats(), before + 3);
}

TEST_F(UndeadTrainer, DoesNotKeepTheDaemonFromItsEnd) {
  const std::string lease = coordinator_.AddJob("job1", kEndless);
  Start("cpu:1");
  const pid_t pid = WaitForTrainer(Run());
  ASSERT_GT(pid, 0);
  UndeadProcess undead(pid);
  if (!undead.traced()) GTEST_SKIP() << "no process may trace another here";
  daemon_->BeginDrain();
  EXPECT_TRUE(daemon_->WaitUntilFinished(absl::Seconds(20)));
  daemon_.reset();
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_EQ(finish.outcome(), v1::CANCELLED);
  EXPECT_EQ(finish.message(), "worker stopped") << "given back";
  const Attempt attempt = coordinator_.attempt(lease);
  const auto tells_so = [](const std::string& record) {
    const auto parsed = pipe::Parse(record);
    const auto* line = parsed.event ? std::get_if<pipe::Log>(&*parsed.event) : nullptr;
    return line != nullptr && line->level == "error" && line->message.find("does not die") != std::string::npos;
  };
  EXPECT_EQ(std::count_if(attempt.records.begin(), attempt.records.end(), tells_so), 1) << "in the job's log";
}

TEST_F(UndeadTrainer, DoesNotKeepTheOtherRanksOfItsJob) {
  options_.runner.limits.rank_grace = absl::Milliseconds(300);
  const std::string lease = coordinator_.AddGang("job1", kEndless, 0, 2, 2);
  Start("cpu:3");
  const pid_t pid = WaitForTrainer(Run() + "/rank-1");
  ASSERT_GT(pid, 0);
  UndeadProcess undead(pid);
  if (!undead.traced()) GTEST_SKIP() << "no process may trace another here";
  kill(pid, SIGSTOP);
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_EQ(finish.failure_class(), v1::INFRA);
  EXPECT_TRUE(finish.message().starts_with(absl::StrCat("rank 1: the trainer (pid ", pid, ") does not die of SIGKILL")))
      << finish.message();
  EXPECT_TRUE(ProcessesOfRun(Run() + "/rank-0", 0).empty());
  EXPECT_TRUE(WaitForFreeDevices(1)) << "those of the whole job stay taken";
  undead.Release();
  EXPECT_TRUE(WaitForFreeDevices(3));
}

}  // namespace
}  // namespace sink::worker
