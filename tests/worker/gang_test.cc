// One worker's places in a job of several processes: each rank knows its place, none outlives a lost one, and the
// coordinator hears of all of them with one voice.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "proto/pipe/events.h"
#include "proto/pipe/other_rank.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/process_tree.h"

namespace sink::worker {
namespace {

namespace fs = std::filesystem;

using Attempt = FakeCoordinator::Attempt;

constexpr char kEndless[] = R"({"steps": 1000000})";

// What the attempt delivered, events of one kind only.
template <typename Kind>
std::vector<Kind> EventsOf(const Attempt& attempt) {
  std::vector<Kind> events;
  for (const std::string& record : attempt.records) {
    const auto parsed = pipe::Parse(record);
    if (const auto* event = std::get_if<Kind>(&*parsed.event)) events.push_back(*event);
  }
  return events;
}

// "level: message" of every log line.
std::vector<std::string> LogsOf(const Attempt& attempt) {
  std::vector<std::string> lines;
  for (const pipe::Log& log : EventsOf<pipe::Log>(attempt)) lines.push_back(log.level + ": " + log.message);
  return lines;
}

bool Contains(const std::vector<std::string>& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

class GangTest : public ::testing::Test {
 protected:
  GangTest() : options_(FakeTrainerOptions(dir_.path().string())) {
    options_.runner.limits.rank_grace = absl::Milliseconds(300);
  }
  void Start(const std::string& devices = "cpu:4") {
    daemon_.emplace(&coordinator_, *FindDevices(devices, nullptr), options_);
    daemon_->Start();
  }
  v1::FinishRequest FinishOf(const std::string& lease) {
    EXPECT_TRUE(coordinator_.WaitForFinish(lease));
    const Attempt attempt = coordinator_.attempt(lease);
    return attempt.finishes.empty() ? v1::FinishRequest() : attempt.finishes.back();
  }
  // Until `n` trainers are past their start, where they write down what they see.
  bool WaitForTrainers(size_t n) {
    for (int i = 0; i < 1000; ++i, absl::SleepFor(absl::Milliseconds(10))) {
      size_t started = 0;
      for (const std::string folder : {"", "/rank-1", "/rank-2", "/rank-3"}) {
        started += fs::exists(Run() + folder + "/environment.txt");
      }
      if (started == n) return true;
    }
    return false;
  }
  bool WaitForFreeDevices(int free) {
    for (int i = 0; i < 500; ++i, absl::SleepFor(absl::Milliseconds(10))) {
      const v1::HeartbeatRequest heartbeat = coordinator_.last_heartbeat();
      if (heartbeat.held_size() > 0 && heartbeat.devices_free() == free) return true;
    }
    return false;
  }
  std::string Run() { return dir_ / "jobs/job1/1-1"; }
  std::vector<std::string> Environment(const std::string& folder) {
    std::stringstream text;
    text << std::ifstream(folder + "/environment.txt").rdbuf();
    return absl::StrSplit(text.str(), '\n', absl::SkipEmpty());
  }

  testing::TempDir dir_;
  FakeCoordinator coordinator_;
  DaemonOptions options_;
  std::optional<Daemon> daemon_;
};

TEST_F(GangTest, EachRankKnowsItsPlaceAndRankZeroSpeaks) {
  const std::string lease = coordinator_.AddGang("job1", R"({"checkpoint_every": 3})", 0, 3, 5);
  Start();
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_EQ(finish.outcome(), v1::SUCCEEDED) << finish.message();
  const std::string folders[] = {Run(), Run() + "/rank-1", Run() + "/rank-2"};
  for (int rank = 0; rank < 3; ++rank) {
    const std::vector<std::string> seen = Environment(folders[rank]);
    for (const std::string& entry :
         {absl::StrCat("SINK_RANK=", rank), std::string("SINK_WORLD_SIZE=5"),
          std::string("SINK_RENDEZVOUS=127.0.0.1:29500"),
          absl::StrCat("SINK_RENDEZVOUS_TOKEN_FILE=", folders[rank], "/token"), std::string("token secret"),
          std::string("CUDA_VISIBLE_DEVICES="), std::string("CUDA_DEVICE_ORDER=PCI_BUS_ID"),
          absl::StrCat("SINK_RUN=", Run(), "/rank-", rank)}) {
      EXPECT_TRUE(Contains(seen, entry)) << entry << " for rank " << rank;
    }
    EXPECT_TRUE(fs::exists(folders[rank] + "/job.json"));
    for (const std::string& entry : seen) EXPECT_FALSE(absl::StrContains(entry, "=secret")) << entry;
  }
  const Attempt attempt = coordinator_.attempt(lease);
  EXPECT_EQ(EventsOf<pipe::Hello>(attempt).size(), 1u);
  EXPECT_EQ(EventsOf<pipe::Metrics>(attempt).size(), 3u);
  EXPECT_EQ(finish.last_seq(), attempt.records.size());
  EXPECT_EQ(attempt.committed.rbegin()->first, 3);
}

TEST_F(GangTest, AJobOfOneProcessHasNoPlace) {
  const std::string lease = coordinator_.AddJob("job1", "{}");
  Start();
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED);
  const std::vector<std::string> seen = Environment(Run());
  EXPECT_TRUE(Contains(seen, absl::StrCat("SINK_RUN=", Run())));
  for (const std::string& entry : seen) {
    EXPECT_TRUE(entry.rfind("SINK_RANK", 0) != 0 && entry.rfind("SINK_WORLD", 0) != 0 &&
                entry.rfind("SINK_RENDEZVOUS", 0) != 0)
        << entry;
  }
}

TEST_F(GangTest, AKilledRankEndsTheOthersAndIsNamed) {
  const std::string lease = coordinator_.AddGang(
      "job1", R"({"steps": 1000000, "ignore_stop": 1, "ranks": {"2": {"steps": 50, "end": "signal", "code": 9}}})", 0,
      3, 3);
  options_.runner.limits.grace = absl::Minutes(1);  // not for those who have lost a rank
  Start();
  const absl::Time before = absl::Now();
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_LT(absl::Now() - before, absl::Seconds(10));
  EXPECT_EQ(finish.outcome(), v1::FAILED);
  EXPECT_EQ(finish.failure_class(), v1::INFRA);
  EXPECT_EQ(finish.message(), "rank 2: trainer ended: killed by SIGKILL");
  EXPECT_TRUE(ProcessesOfRun(Run(), 0).empty());
}

TEST_F(GangTest, TheCauseIsNamedAndNotWhatFollowedFromIt) {
  const std::string lease = coordinator_.AddGang("job1", R"({"steps": 1000000, "ranks": {
      "1": {"steps": 50, "end": "failed", "warning": "loss grows", "stderr": "so hot\n"}}})",
                                                 0, 2, 2);
  Start();
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_EQ(finish.failure_class(), v1::NON_FINITE);
  EXPECT_EQ(finish.message(), "rank 1: loss is NaN");
  const std::vector<std::string> logs = LogsOf(coordinator_.attempt(lease));
  EXPECT_TRUE(Contains(logs, "warning: rank 1: loss grows"));
  EXPECT_TRUE(Contains(logs, "stderr: rank 1: so hot"));
  EXPECT_TRUE(Contains(logs, "error: rank 1: failed (nan): loss is NaN"));
  EXPECT_EQ(logs.size(), 3u);
}

TEST_F(GangTest, ALeaderWhoseRankFailedForAnotherWorkersLetsThatOneSpeakFirst) {
  const std::string message = pipe::OfAnotherRank("rank 1 of 2 failed: it ended with an error", "rank 0 of 2", "");
  const std::string lease = coordinator_.AddGang(
      "job1", absl::StrCat(R"({"end": "failed", "class": "infra", "message": ")", message, R"("})"), 0, 1, 2);
  const absl::Time before = absl::Now();
  Start();
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_GE(absl::Now() - before, absl::Seconds(1));
  EXPECT_EQ(finish.message(), "rank 0: " + message);
}

TEST_F(GangTest, RankZeroSpeaksWithoutAPrefix) {
  const std::string lease = coordinator_.AddGang("job1", R"({"warning": "careful", "stderr": "hm\n"})", 0, 1, 1);
  Start();
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED);
  const std::vector<std::string> logs = LogsOf(coordinator_.attempt(lease));
  EXPECT_TRUE(Contains(logs, "warning: careful"));
  EXPECT_TRUE(Contains(logs, "stderr: hm"));
}

TEST_F(GangTest, ARankThatStoppedAsAgreedLeavesTheOthersTimeToSave) {
  const std::string lease = coordinator_.AddGang(
      "job1", R"({"steps": 500, "step_ms": 3, "ranks": {"1": {"steps": 3, "end": "exit", "code": 68}}})", 0, 2, 2);
  Start();
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_EQ(finish.outcome(), v1::CANCELLED) << "given back, as another worker's drain does";
  EXPECT_EQ(EventsOf<pipe::Metrics>(coordinator_.attempt(lease)).size(), 500u);
}

TEST_F(GangTest, ARankThatIsDoneTakesNoOtherAlong) {
  // Rank 1's clean-up must not take rank 10 for one of its own.
  const std::string lease =
      coordinator_.AddGang("job1", R"({"steps": 300, "step_ms": 3, "ranks": {"1": {"steps": 1}}})", 1, 10, 11);
  Start("cpu:10");
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED) << FinishOf(lease).message();
}

TEST_F(GangTest, EveryRankMustShowThatItLives) {
  options_.runner.limits.hang = absl::Milliseconds(700);
  const std::string lease = coordinator_.AddGang(
      "job1", R"({"steps": 1000000, "ranks": {"1": {"end": "hang", "steps": 1, "ignore_stop": 1}}})", 0, 2, 2);
  Start();
  EXPECT_TRUE(absl::StartsWith(FinishOf(lease).message(), "rank 1: no progress: the trainer sent no event for 700ms"))
      << FinishOf(lease).message();
}

TEST_F(GangTest, OnlyRankZeroHasToShowSteps) {
  options_.runner.limits.stall = absl::Milliseconds(500);
  const std::string lease = coordinator_.AddGang(
      "job1", R"({"steps": 60, "step_ms": 20, "ranks": {"1": {"steps": 2, "step_ms": 900}}})", 0, 2, 2);
  Start();
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED) << FinishOf(lease).message();
}

TEST_F(GangTest, AFollowerOnlyFinishes) {
  const std::string good =
      coordinator_.AddGang("job1", R"({"checkpoint_every": 1, "warning": "careful", "stderr": "hm\n"})", 2, 2, 4);
  Start();
  v1::FinishRequest finish = FinishOf(good);
  EXPECT_EQ(finish.outcome(), v1::SUCCEEDED) << finish.message();
  EXPECT_EQ(finish.last_seq(), 0u);
  EXPECT_FALSE(fs::exists(Run() + "/job.json"));
  EXPECT_TRUE(fs::exists(Run() + "/rank-2/job.json") && fs::exists(Run() + "/rank-3/job.json"));

  const std::string bad = coordinator_.AddGang("job2", R"({"ranks": {"3": {"end": "exit", "code": 64}}})", 2, 2, 4);
  finish = FinishOf(bad);
  EXPECT_EQ(finish.outcome(), v1::FAILED);
  EXPECT_EQ(finish.failure_class(), v1::USER);
  EXPECT_EQ(finish.message(), "rank 3: trainer ended: exit code 64");
  for (const std::string& lease : {good, bad}) {
    EXPECT_EQ(coordinator_.attempt(lease).reports, 0);
    EXPECT_TRUE(coordinator_.attempt(lease).files.empty());
  }
}

TEST_F(GangTest, AStaleFollowerIsDropped) {
  const std::string lease = coordinator_.AddGang("job1", kEndless, 2, 2, 4);
  Start();
  ASSERT_TRUE(WaitForTrainers(2));
  coordinator_.MakeStale(lease);
  const std::string next = coordinator_.AddGang("job2", "{}", 0, 4, 4);
  EXPECT_EQ(FinishOf(next).outcome(), v1::SUCCEEDED);
  EXPECT_TRUE(ProcessesOfRun(Run(), 0).empty());
  EXPECT_TRUE(coordinator_.attempt(lease).finishes.empty());
  EXPECT_FALSE(fs::exists(Run() + "/lease.json"));
}

TEST_F(GangTest, CancelReachesEveryRank) {
  const std::string lease = coordinator_.AddGang("job1", kEndless, 1, 3, 4);
  Start();
  ASSERT_TRUE(WaitForTrainers(3));
  coordinator_.Cancel(lease);
  EXPECT_EQ(FinishOf(lease).outcome(), v1::CANCELLED);
  EXPECT_TRUE(ProcessesOfRun(Run(), 0).empty());
  for (int rank = 1; rank <= 3; ++rank) {  // each had the time to save
    EXPECT_FALSE(fs::is_empty(absl::StrCat(Run(), "/rank-", rank, "/checkpoints"))) << rank;
  }
}

TEST_F(GangTest, ADrainingWorkerOffersNothing) {
  options_.advertise = "node-1";
  const std::string lease = coordinator_.AddGang("job1", R"({"steps": 1000000, "ignore_stop": 1})", 0, 2, 2);
  Start();
  ASSERT_TRUE(WaitForTrainers(2));
  EXPECT_EQ(coordinator_.last_registration().advertise(), "node-1");
  EXPECT_GT(coordinator_.last_poll().rendezvous_port(), 0);
  ASSERT_TRUE(WaitForFreeDevices(2));
  daemon_->BeginDrain();
  EXPECT_TRUE(WaitForFreeDevices(0));  // in the 2 s that the trainers take
  EXPECT_TRUE(daemon_->WaitUntilFinished(absl::Seconds(20)));
  EXPECT_EQ(FinishOf(lease).message(), "worker stopped");
}

TEST(KilledFollower, LeavesNoRankAliveAndItsSuccessorSaysSo) {
  testing::TempDir dir;
  const std::string run = dir / "jobs/job1/1-1";
  FakeCoordinator coordinator;
  FakeServer server(&coordinator);
  const std::string lease =
      coordinator.AddGang("job1", R"({"steps": 1000000, "ignore_stop": 1, "grandchildren": 1, "setsid": 1})", 1, 2, 3);
  const pid_t first = StartDaemon(server.address(), dir.path().string());
  for (int i = 0; i < 1000 && ProcessesOfRun(run, 0).size() < 4; ++i) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_EQ(ProcessesOfRun(run, 0).size(), 4u);  // two ranks and what they started
  kill(first, SIGKILL);
  waitpid(first, nullptr, 0);

  const pid_t second = StartDaemon(server.address(), dir.path().string());
  ASSERT_TRUE(coordinator.WaitForFinish(lease));
  const v1::FinishRequest finish = coordinator.attempt(lease).finishes[0];
  EXPECT_EQ(finish.failure_class(), v1::INFRA);
  EXPECT_EQ(finish.message(), "worker restarted");
  EXPECT_EQ(finish.last_seq(), 0u);
  EXPECT_TRUE(ProcessesOfRun(run, 0).empty());
  kill(second, SIGTERM);
  waitpid(second, nullptr, 0);
}

}  // namespace
}  // namespace sink::worker
