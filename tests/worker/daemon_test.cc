// The daemon against a coordinator that keeps the rules: every event once and in order, whatever goes away meanwhile.
#include "worker/daemon.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "coordinator/errors/error_detail.h"
#include "proto/config/job_config.h"
#include "proto/pipe/events.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/client_link.h"
#include "worker/leased_calls.h"
#include "worker/process_tree.h"
#include "worker/set_list.h"

namespace sink::worker {
namespace {

using Attempt = FakeCoordinator::Attempt;

constexpr char kLongTraining[] = R"({"steps": 1000000, "step_ms": 2, "checkpoint_every": 20})";

// The steps whose metrics arrived, in order of arrival.
std::vector<int64_t> Steps(const Attempt& attempt) {
  std::vector<int64_t> steps;
  for (const std::string& record : attempt.records) {
    const auto parsed = pipe::Parse(record);
    if (const auto* metrics = std::get_if<pipe::Metrics>(&*parsed.event)) steps.push_back(metrics->step);
  }
  return steps;
}

void ExpectStepsWithoutGap(const Attempt& attempt, size_t at_least) {
  const std::vector<int64_t> steps = Steps(attempt);
  EXPECT_GE(steps.size(), at_least);
  for (size_t i = 1; i < steps.size(); ++i) ASSERT_EQ(steps[i], steps[i - 1] + 1);
}

bool HasCheckpoint(const Attempt& attempt) {
  return !attempt.committed.empty() && attempt.committed.rbegin()->first > 0;
}
bool WaitForFile(const std::string& path) {
  for (int i = 0; i < 2000 && !std::filesystem::exists(path); ++i) absl::SleepFor(absl::Milliseconds(10));
  return std::filesystem::exists(path);
}
std::function<bool(const Attempt&)> HasRecords(size_t n) {
  return [n](const Attempt& attempt) { return attempt.records.size() >= n; };
}

class DaemonTest : public ::testing::Test {
 protected:
  void Start(const std::string& devices = "cpu:1") {
    daemon_.emplace(&coordinator_, *FindDevices(devices, nullptr), options_);
    daemon_->Start();
  }
  // Its folders, which the daemon may be clearing up as well.
  void RemoveRuns(const std::string& job) {
    std::error_code ignored;
    while (std::filesystem::exists(dir_ / ("jobs/" + job), ignored))
      std::filesystem::remove_all(dir_ / ("jobs/" + job), ignored);
  }
  bool Drain() {
    daemon_->BeginDrain();
    return daemon_->WaitUntilFinished(absl::Seconds(20));
  }
  v1::FinishRequest FinishOf(const std::string& lease) {
    EXPECT_TRUE(coordinator_.WaitForFinish(lease));
    const Attempt attempt = coordinator_.attempt(lease);
    return attempt.finishes.empty() ? v1::FinishRequest() : attempt.finishes.back();
  }

  testing::TempDir dir_;
  FakeCoordinator coordinator_;
  DaemonOptions options_ = FakeTrainerOptions(dir_.path().string());
  std::optional<Daemon> daemon_;
};

TEST_F(DaemonTest, TellsItsSetsAndHandsBackAJobForOtherData) {
  std::filesystem::create_directories(dir_ / "regmix");
  std::ofstream(dir_ / "regmix/set.json") << R"({"sources": [{"xxh3": "1"}]})";
  const std::string content = ContentOfSet(dir_.path().string(), "regmix");
  const std::string lease = coordinator_.AddJob("job1", "{}");
  coordinator_.set_data_content(lease, std::string(32, 'f'));
  Start();
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_EQ(finish.failure_class(), v1::INFRA) << "another worker may have that data";
  EXPECT_NE(finish.message().find("regmix holds something else here (" + content.substr(0, 8) + ")"), std::string::npos)
      << finish.message();
  ASSERT_EQ(coordinator_.last_poll().sets().sets_size(), 1);
  EXPECT_EQ(coordinator_.last_poll().sets().sets(0).name(), "regmix");
  EXPECT_EQ(coordinator_.last_poll().sets().sets(0).content(), content);
}

TEST_F(DaemonTest, TellsItsModelsAndHandsBackAJobWhoseModelIsNotWhole) {
  const std::string folder = dir_ / "models/gpt2";
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/config.json") << "{}";
  JobConfig config;
  config.kind = JobKind::kEvaluate;
  config.evaluate.model = "gpt2";
  const std::string lease = coordinator_.AddJob("job1", PrintJobConfig(config));
  DaemonOptions options = FakeTrainerOptions(dir_.path().string());
  options.runner.model_root = dir_ / "models";
  daemon_.emplace(&coordinator_, *FindDevices("cpu:1", nullptr), options);
  daemon_->Start();
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_EQ(finish.failure_class(), v1::INFRA) << "another worker may have the model";
  EXPECT_NE(finish.message().find("model gpt2 is not whole: "), std::string::npos) << finish.message();
  EXPECT_EQ(coordinator_.last_poll().models_size(), 0);
  ASSERT_EQ(coordinator_.last_poll().incomplete_models_size(), 1);
  EXPECT_EQ(coordinator_.last_poll().incomplete_models(0).name(), "gpt2");
  EXPECT_EQ(coordinator_.last_poll().incomplete_models(0).gap(),
            "gpt2 has no model.safetensors or model.safetensors.index.json");
}

TEST_F(DaemonTest, RunsAJobAndDeliversItsEventsAndCheckpoint) {
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 7, "checkpoint_every": 3})");
  Start();
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_EQ(finish.outcome(), v1::SUCCEEDED) << finish.message();
  const Attempt attempt = coordinator_.attempt(lease);
  EXPECT_EQ(finish.last_seq(), attempt.records.size());
  ExpectStepsWithoutGap(attempt, 7);
  EXPECT_EQ(attempt.committed.rbegin()->first, 7);  // the last one, before Finish
  EXPECT_TRUE(Drain());
  EXPECT_FALSE(std::filesystem::exists(dir_ / "jobs/job1/1-1/lease.json"));
}

TEST_F(DaemonTest, LostAnswersDuplicateNothing) {
  coordinator_.set_drop_every(3);
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 60, "step_ms": 20, "checkpoint_every": 20})");
  Start();
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED);
  ExpectStepsWithoutGap(coordinator_.attempt(lease), 60);
  EXPECT_EQ(Steps(coordinator_.attempt(lease)).size(), 60u);
}

TEST_F(DaemonTest, OutageShorterThanTheLeaseCostsNoStep) {
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 400, "step_ms": 5})");
  Start();
  ASSERT_TRUE(coordinator_.WaitFor(lease, HasRecords(10)));
  for (int i = 0; i < 3; ++i) {
    coordinator_.set_offline(true);
    ASSERT_TRUE(coordinator_.WaitForRefusedReport(lease));
    coordinator_.set_offline(false);
    ASSERT_TRUE(coordinator_.WaitFor(lease, HasRecords(coordinator_.attempt(lease).records.size() + 1)));
  }
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED);
  EXPECT_EQ(Steps(coordinator_.attempt(lease)).size(), 400u);
  EXPECT_EQ(coordinator_.attempt(lease).finishes.size(), 1u);
}

TEST_F(DaemonTest, AfterAnOutageOnlyTheNewestCheckpointIsUploaded) {
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 300, "step_ms": 3, "checkpoint_every": 20})");
  Start();
  ASSERT_TRUE(coordinator_.WaitFor(lease, HasCheckpoint));
  coordinator_.set_offline(true);
  // Known at the training's end, when all of its checkpoints wait for their upload.
  ASSERT_TRUE(WaitForFile(dir_ / "jobs/job1/1-1/outcome.json"));
  coordinator_.set_offline(false);
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED);
  const Attempt attempt = coordinator_.attempt(lease);
  EXPECT_EQ(attempt.committed.rbegin()->first, 300);
  EXPECT_LE(attempt.committed.size(), 5u) << "of 15 saved";
}

TEST_F(DaemonTest, CoordinatorThatForgotTheWorkerIsToldAgain) {
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 200, "step_ms": 5})");
  Start();
  ASSERT_TRUE(coordinator_.WaitFor(lease, HasRecords(10)));
  coordinator_.set_restarted(true);
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED);
  // At the start, after the restart, and once more for each call, report or heartbeat, whose refusal of before the
  // second registration arrived after it.
  EXPECT_GE(coordinator_.registrations(), 2);
  EXPECT_LE(coordinator_.registrations(), 4);
  EXPECT_EQ(Steps(coordinator_.attempt(lease)).size(), 200u);
}

TEST_F(DaemonTest, CancelledJobSavesAndEndsCancelled) {
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 1000000})");
  Start();
  ASSERT_TRUE(coordinator_.WaitFor(lease, HasRecords(10)));
  coordinator_.Cancel(lease);
  EXPECT_EQ(FinishOf(lease).outcome(), v1::CANCELLED);
  EXPECT_TRUE(HasCheckpoint(coordinator_.attempt(lease)));
  EXPECT_TRUE(ProcessesOfRun(dir_ / "jobs/job1/1-1", 0).empty());
}

TEST_F(DaemonTest, AJobThatIsStoppedHasTheWorkersOwnTimeToSave) {
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 1000000, "ignore_stop": 1})");
  options_.runner.limits.grace = absl::Seconds(4);
  Start();
  ASSERT_TRUE(coordinator_.WaitFor(lease, HasRecords(10)));
  const absl::Time before = absl::Now();
  coordinator_.Cancel(lease);
  EXPECT_EQ(FinishOf(lease).outcome(), v1::CANCELLED);
  EXPECT_GE(absl::Now() - before, options_.runner.limits.grace);
  EXPECT_LT(absl::Now() - before, absl::Seconds(20));
}

TEST_F(DaemonTest, ATrainerThatIsKilledAtTheEndOfItsGraceIsToldOfInTheJobsLog) {
  const std::string none = coordinator_.AddJob("job1", R"({"steps": 1000000, "ignore_stop": 1})");
  const std::string saved =
      coordinator_.AddJob("job2", R"({"steps": 10, "checkpoint_every": 10, "end": "hang", "ignore_stop": 1})");
  const std::string obeys = coordinator_.AddJob("job3", R"({"steps": 1000000})");
  Start("cpu:3");
  for (const std::string& lease : {none, obeys}) ASSERT_TRUE(coordinator_.WaitFor(lease, HasRecords(10)));
  ASSERT_TRUE(coordinator_.WaitFor(saved, HasCheckpoint));
  for (const std::string& lease : {none, saved, obeys}) coordinator_.Cancel(lease);
  const auto warnings = [this](const std::string& lease) {
    EXPECT_EQ(FinishOf(lease).outcome(), v1::CANCELLED);
    std::string found;
    for (const std::string& record : coordinator_.attempt(lease).records) {
      const auto parsed = pipe::Parse(record);
      const auto* line = parsed.event ? std::get_if<pipe::Log>(&*parsed.event) : nullptr;
      if (line != nullptr && line->level == "warning") found += line->message;
    }
    return found;
  };
  const std::string killed = "the trainer did not stop within the grace of 2s and was killed; ";
  EXPECT_EQ(warnings(none), killed + "it has saved no checkpoint, and what it trained is lost");
  EXPECT_EQ(warnings(saved), killed + "what it trained after its last checkpoint (step 10) is lost");
  EXPECT_EQ(warnings(obeys), "");
}

// Has no room for any checkpoint.
class HasNoRoom : public FakeCoordinator {
 public:
  absl::StatusOr<v1::BeginCheckpointResponse> BeginCheckpoint(const v1::BeginCheckpointRequest&) override {
    return absl::ResourceExhaustedError("disk full");
  }
};

TEST(Daemon, ACancelledJobThatFindsNoRoomForItsCheckpointSaysSoInItsLogAndAtItsEnd) {
  testing::TempDir dir;
  HasNoRoom coordinator;
  Daemon daemon(&coordinator, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir.path().string()));
  const std::string lease = coordinator.AddJob("job1", R"({"steps": 1000000})");
  daemon.Start();
  ASSERT_TRUE(coordinator.WaitFor(lease, HasRecords(10)));
  coordinator.Cancel(lease);
  ASSERT_TRUE(coordinator.WaitForFinish(lease));
  const Attempt attempt = coordinator.attempt(lease);
  EXPECT_EQ(attempt.finishes[0].outcome(), v1::CANCELLED);
  EXPECT_EQ(attempt.finishes[0].message(), "cancelled");
  const std::string& undelivered = attempt.finishes[0].undelivered();
  EXPECT_NE(undelivered.find(" is lost: "), std::string::npos) << undelivered;
  EXPECT_TRUE(undelivered.ends_with("disk full; the job has no other")) << undelivered;
  const auto tells_so = [&](const std::string& record) {
    const auto parsed = pipe::Parse(record);
    const auto* line = parsed.event ? std::get_if<pipe::Log>(&*parsed.event) : nullptr;
    return line != nullptr && line->message == undelivered;
  };
  EXPECT_EQ(std::count_if(attempt.records.begin(), attempt.records.end(), tells_so), 1);
  daemon.BeginDrain();
  EXPECT_TRUE(daemon.WaitUntilFinished(absl::Seconds(20)));
}

TEST_F(DaemonTest, StaleLeaseKillsTheTrainerAndFreesTheDevice) {
  const std::string stale = coordinator_.AddJob("job1", R"({"steps": 1000000, "ignore_stop": 1})");
  options_.runner.limits.grace = absl::Minutes(1);
  Start();
  ASSERT_TRUE(coordinator_.WaitFor(stale, HasRecords(10)));
  coordinator_.MakeStale(stale);
  const std::string next = coordinator_.AddJob("job2", "{}");
  EXPECT_EQ(FinishOf(next).outcome(), v1::SUCCEEDED);
  EXPECT_TRUE(ProcessesOfRun(dir_ / "jobs/job1/1-1", 0).empty());
  EXPECT_TRUE(coordinator_.attempt(stale).finishes.empty());
}

TEST_F(DaemonTest, CoordinatorRestoredFromABackupGetsTheLostEventsAgain) {
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 300, "step_ms": 5})");
  Start();
  ASSERT_TRUE(coordinator_.WaitFor(lease, HasRecords(30)));
  coordinator_.LoseRecordsAfter(lease, 12);
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED);
  EXPECT_EQ(Steps(coordinator_.attempt(lease)).size(), 300u);
  ExpectStepsWithoutGap(coordinator_.attempt(lease), 300);
}

// Says nothing by heartbeats.
class DeafToHeartbeats : public FakeCoordinator {
 public:
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest&) override {
    return absl::UnavailableError("too busy");
  }
};

TEST(Daemon, ACancellationComesWithTheAnswerToAReportToo) {
  testing::TempDir dir;
  DeafToHeartbeats coordinator;
  Daemon daemon(&coordinator, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir.path().string()));
  const std::string lease = coordinator.AddJob("job1", kLongTraining);
  daemon.Start();
  ASSERT_TRUE(coordinator.WaitFor(lease, HasRecords(10)));
  coordinator.Cancel(lease);
  ASSERT_TRUE(coordinator.WaitForFinish(lease));
  EXPECT_EQ(coordinator.attempt(lease).finishes[0].outcome(), v1::CANCELLED);
  daemon.BeginDrain();
  EXPECT_TRUE(daemon.WaitUntilFinished(absl::Seconds(20)));
}

// Knows the worker as an earlier daemon, as one restored from a backup does.
class KnowsAnEarlierDaemon : public FakeCoordinator {
 public:
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request) override {
    if (registrations() < 2) return absl::FailedPreconditionError("stale session");
    return FakeCoordinator::Heartbeat(request);
  }
};

TEST(Daemon, RegistersAgainWhereAnotherIsTakenForItsWorker) {
  testing::TempDir dir;
  KnowsAnEarlierDaemon coordinator;
  Daemon daemon(&coordinator, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir.path().string()));
  const std::string lease = coordinator.AddJob("job1", R"({"steps": 100, "step_ms": 5})");
  daemon.Start();
  ASSERT_TRUE(coordinator.WaitForFinish(lease));
  EXPECT_GE(coordinator.registrations(), 2);
  EXPECT_EQ(coordinator.attempt(lease).finishes[0].outcome(), v1::SUCCEEDED);
  daemon.BeginDrain();
  EXPECT_TRUE(daemon.WaitUntilFinished(absl::Seconds(20)));
}

// Is restored from a backup when it is told the end of an attempt, or its last checkpoint: by then every event has been
// acknowledged.
class RestoredLate : public FakeCoordinator {
 public:
  explicit RestoredLate(bool at_checkpoint) : at_checkpoint_(at_checkpoint) {}

  absl::Status CommitCheckpoint(const v1::CommitCheckpointRequest& request) override {
    if (at_checkpoint_) RestoreOnce(request.lease());
    return FakeCoordinator::CommitCheckpoint(request);
  }
  absl::StatusOr<v1::FinishResponse> Finish(const v1::FinishRequest& request) override {
    if (!at_checkpoint_) RestoreOnce(request.lease());
    return FakeCoordinator::Finish(request);
  }

 private:
  void RestoreOnce(const v1::LeaseRef& lease) {
    if (!restored_.exchange(true)) LoseRecordsAfter(lease.lease_id(), 3);
  }

  const bool at_checkpoint_;
  std::atomic<bool> restored_ = false;
};

TEST(Daemon, AnAttemptWhoseAcknowledgedEventsAreLostSendsThemAgainAndEnds) {
  for (const bool at_checkpoint : {false, true}) {
    testing::TempDir dir;
    RestoredLate coordinator(at_checkpoint);
    Daemon daemon(&coordinator, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir.path().string()));
    const std::string lease = coordinator.AddJob("job1", R"({"steps": 7, "checkpoint_every": 7})");
    daemon.Start();
    ASSERT_TRUE(coordinator.WaitForFinish(lease)) << at_checkpoint;
    const Attempt attempt = coordinator.attempt(lease);
    EXPECT_EQ(attempt.finishes[0].outcome(), v1::SUCCEEDED) << attempt.finishes[0].message();
    EXPECT_EQ(Steps(attempt).size(), 7u);
    ExpectStepsWithoutGap(attempt, 7);
    EXPECT_TRUE(HasCheckpoint(attempt));
    daemon.BeginDrain();
    EXPECT_TRUE(daemon.WaitUntilFinished(absl::Seconds(20)));
  }
}

TEST_F(DaemonTest, AnIdleWorkerAsksOnceAndWaitsForItsAnswer) {
  coordinator_.set_holds_questions(true);
  Start();
  absl::SleepFor(absl::Milliseconds(700));
  EXPECT_LE(coordinator_.questions(), 2);
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 3})");
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED);
}

TEST_F(DaemonTest, AWorkerThatWaitsRestsFromHeartbeatsUntilItHasAJob) {
  coordinator_.set_holds_questions(true);
  coordinator_.set_rest(absl::Minutes(1));
  Start();
  absl::SleepFor(absl::Seconds(1));
  EXPECT_LE(coordinator_.heartbeats(), 2) << "of twenty that would be due";
  const std::string lease = coordinator_.AddJob("job1", kLongTraining);
  ASSERT_TRUE(coordinator_.WaitFor(lease, HasRecords(3)));
  const int before = coordinator_.heartbeats();
  const absl::Time begin = absl::Now();
  while (coordinator_.heartbeats() < before + 3 && absl::Now() < begin + absl::Seconds(10))
    absl::SleepFor(absl::Milliseconds(5));
  EXPECT_FALSE(coordinator_.last_heartbeat().held().empty());
  EXPECT_TRUE(Drain());
}

// Tells when it can be reached.
class ComesBack : public FakeCoordinator {
 public:
  void OnConnect(std::function<void()> hook) override {
    absl::MutexLock lock(&mutex_);
    hook_ = std::move(hook);
  }
  void Connect() {
    absl::MutexLock lock(&mutex_);
    if (hook_) hook_();
  }

 private:
  absl::Mutex mutex_;
  std::function<void()> hook_ ABSL_GUARDED_BY(mutex_);
};

TEST(Daemon, SaysThatItIsThereAsSoonAsTheCoordinatorIs) {
  testing::TempDir dir;
  ComesBack coordinator;
  coordinator.set_holds_questions(true);
  coordinator.set_rest(absl::Minutes(1));
  Daemon daemon(&coordinator, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir.path().string()));
  daemon.Start();
  while (coordinator.heartbeats() == 0 || coordinator.questions() == 0) absl::SleepFor(absl::Milliseconds(5));
  absl::SleepFor(absl::Milliseconds(200));
  const int before = coordinator.heartbeats();
  coordinator.Connect();
  const absl::Time begin = absl::Now();
  while (coordinator.heartbeats() == before && absl::Now() < begin + absl::Seconds(10))
    absl::SleepFor(absl::Milliseconds(5));
  EXPECT_EQ(coordinator.heartbeats(), before + 1);
  daemon.BeginDrain();
  EXPECT_TRUE(daemon.WaitUntilFinished(absl::Seconds(20)));
  coordinator.Connect();  // nobody listens any more
}

TEST_F(DaemonTest, AWorkerThatWaitsSaysNowAndThenThatItIsThere) {
  coordinator_.set_holds_questions(true);
  coordinator_.set_rest(absl::Milliseconds(300));
  Start();
  absl::SleepFor(absl::Seconds(2));
  EXPECT_GE(coordinator_.heartbeats(), 3) << "its one question is older than what it may rest";
  EXPECT_LE(coordinator_.heartbeats(), 10);
}

TEST_F(DaemonTest, ADeviceThatComesFreeAsksAtOnceAndADrainInterruptsThePause) {
  DaemonOptions options = FakeTrainerOptions(dir_.path().string());
  options.poll_interval = absl::Minutes(2);
  daemon_.emplace(&coordinator_, *FindDevices("cpu:1", nullptr), std::move(options));
  const std::string first = coordinator_.AddJob("job1", R"({"steps": 3})");
  const std::string second = coordinator_.AddJob("job2", R"({"steps": 3})");
  const std::string third = coordinator_.AddJob("job3", kLongTraining);
  daemon_->Start();
  EXPECT_EQ(FinishOf(first).outcome(), v1::SUCCEEDED);
  EXPECT_EQ(FinishOf(second).outcome(), v1::SUCCEEDED);
  ASSERT_TRUE(coordinator_.WaitFor(third, HasRecords(3)));
  EXPECT_TRUE(Drain());
}

// Else the device stands idle until the job's last events and checkpoint are delivered.
TEST_F(DaemonTest, ATrainerThatEndedIsToldBeforeWhatItLeftIsDelivered) {
  coordinator_.set_heartbeat_interval(absl::Minutes(1));
  coordinator_.set_finish_waits_for_heartbeat(true);
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 3})");
  Start();
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED);
  EXPECT_TRUE(coordinator_.attempt(lease).told_finalizing);
}

TEST_F(DaemonTest, ALeaseCountsFromItsGrantHoweverLongTheQuestionHadWaited) {
  coordinator_.set_holds_questions(true);
  coordinator_.set_lease_duration(absl::Seconds(2));
  Start();
  absl::SleepFor(absl::Seconds(3));  // longer than the lease
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 100, "step_ms": 5})");
  EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED);
}

TEST_F(DaemonTest, ADrainDoesNotWaitForAnOpenQuestion) {
  coordinator_.set_holds_questions(true);
  Start();
  absl::SleepFor(absl::Milliseconds(300));
  const absl::Time begin = absl::Now();
  EXPECT_TRUE(Drain());
  EXPECT_LT(absl::Now() - begin, absl::Seconds(3));
}

TEST_F(DaemonTest, TrainerEndsBeforeAnUnrenewedLeaseDoes) {
  constexpr absl::Duration kLease = absl::Seconds(4);
  coordinator_.set_lease_duration(kLease);
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 1000000, "ignore_stop": 1})");
  options_.runner.limits.grace = absl::Minutes(1);
  Start();
  ASSERT_TRUE(coordinator_.WaitFor(lease, HasRecords(10)));
  while (coordinator_.last_heartbeat().held().empty()) absl::SleepFor(absl::Milliseconds(5));
  coordinator_.set_offline(true);
  const absl::Time renewed = coordinator_.last_heartbeat_time();
  ASSERT_TRUE(WaitForFile(dir_ / "jobs/job1/1-1/outcome.json"));  // long before its grace is over
  EXPECT_TRUE(ProcessesOfRun(dir_ / "jobs/job1/1-1", 0).empty());
  coordinator_.set_offline(false);
  const v1::FinishRequest finish = FinishOf(lease);
  EXPECT_EQ(finish.outcome(), v1::CANCELLED) << "given back: no failure of the job, nor of this machine";
  EXPECT_EQ(finish.message(), "no contact with the coordinator for the length of a lease");
  // It trains on for most of the lease, and its last word comes before the lease's end.
  const absl::Time last_word = absl::FromUnixMillis(coordinator_.attempt(lease).last_event_ms);
  EXPECT_GE(last_word, renewed + kLease / 2);
  EXPECT_LE(last_word, renewed + kLease);
  ExpectStepsWithoutGap(coordinator_.attempt(lease), 10);
}

TEST_F(DaemonTest, DrainSavesDeliversAndHandsTheJobBack) {
  const std::string lease = coordinator_.AddJob("job1", kLongTraining);
  Start();
  ASSERT_TRUE(coordinator_.WaitFor(lease, HasRecords(30)));
  EXPECT_TRUE(Drain());
  const Attempt attempt = coordinator_.attempt(lease);
  ASSERT_EQ(attempt.finishes.size(), 1u);
  EXPECT_EQ(attempt.finishes[0].outcome(), v1::CANCELLED) << "given back: no failure of the job";
  EXPECT_EQ(attempt.finishes[0].message(), "worker stopped");
  EXPECT_EQ(attempt.committed.rbegin()->first, Steps(attempt).back());  // what it saved when told to stop
}

TEST_F(DaemonTest, SaysThatItLeavesOnceEverythingIsDelivered) {
  coordinator_.set_heartbeat_interval(absl::Minutes(1));  // nothing but the end makes it speak
  const std::string lease = coordinator_.AddJob("job1", kLongTraining);
  Start();
  ASSERT_TRUE(coordinator_.WaitFor(lease, HasRecords(30)));
  EXPECT_FALSE(coordinator_.last_heartbeat().leaving());
  EXPECT_TRUE(Drain());
  EXPECT_EQ(coordinator_.attempt(lease).finishes.size(), 1u);
  const v1::HeartbeatRequest last = coordinator_.last_heartbeat();
  EXPECT_TRUE(last.leaving());
  EXPECT_EQ(last.session(), coordinator_.last_registration().session());
  EXPECT_EQ(last.held_size(), 0);
  EXPECT_EQ(last.devices_free(), 0);
}

TEST_F(DaemonTest, OneThatIsKilledDoesNotSayThatItLeaves) {
  Start();
  while (coordinator_.heartbeats() == 0) absl::SleepFor(absl::Milliseconds(5));
  daemon_->Kill();
  EXPECT_TRUE(daemon_->WaitUntilFinished(absl::Seconds(20)));
  EXPECT_FALSE(coordinator_.last_heartbeat().leaving());
}

// Takes calls and, of those that it is told to leave open, answers none.
class LeavesCallsOpen : public FakeCoordinator {
 public:
  void LeaveHeartbeatsOpen() { no_heartbeats_ = true; }
  void LeaveQuestionsOpen() { no_answers_ = true; }
  int open_questions() const { return open_questions_; }

  absl::StatusOr<v1::LeaseResponse> Lease(const v1::LeaseRequest& request) override {
    if (!no_answers_) return FakeCoordinator::Lease(request);
    ++open_questions_;
    return WaitForCancel();
  }
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request) override {
    if (!no_heartbeats_) return FakeCoordinator::Heartbeat(request);
    return WaitForCancel();
  }
  void CancelCalls() override {
    if (!asked_to_cancel_.exchange(true)) cancelled_.Notify();
  }

 private:
  absl::Status WaitForCancel() {
    cancelled_.WaitForNotification();
    return absl::CancelledError("this daemon ends");
  }

  std::atomic<bool> no_heartbeats_ = false, no_answers_ = false, asked_to_cancel_ = false;
  std::atomic<int> open_questions_ = 0;
  absl::Notification cancelled_;
};

TEST(Daemon, EndsInTimeThoughNobodyAnswersItsLastQuestion) {
  testing::TempDir dir;
  LeavesCallsOpen coordinator;
  Daemon daemon(&coordinator, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir.path().string()));
  daemon.Start();
  while (coordinator.questions() == 0) absl::SleepFor(absl::Milliseconds(5));
  coordinator.LeaveHeartbeatsOpen();
  coordinator.LeaveQuestionsOpen();
  while (coordinator.open_questions() == 0) absl::SleepFor(absl::Milliseconds(5));
  const absl::Time begin = absl::Now();
  daemon.BeginDrain();
  EXPECT_TRUE(daemon.WaitUntilFinished(absl::Seconds(15)));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
}

TEST(Daemon, EndsInTimeThoughNobodyAnswersItsLastWord) {
  testing::TempDir dir;
  LeavesCallsOpen coordinator;
  coordinator.LeaveHeartbeatsOpen();
  Daemon daemon(&coordinator, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir.path().string()));
  daemon.Start();
  while (coordinator.questions() == 0) absl::SleepFor(absl::Milliseconds(5));
  const absl::Time begin = absl::Now();
  daemon.BeginDrain();
  EXPECT_TRUE(daemon.WaitUntilFinished(absl::Seconds(10)));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(4));
}

TEST_F(DaemonTest, ResumesFromALocalCopyOrAFetchedOne) {
  const std::string first = coordinator_.AddJob("job1", R"({"steps": 5, "checkpoint_every": 5})");
  Start();
  ASSERT_TRUE(coordinator_.WaitForFinish(first));
  const v1::Checkpoint checkpoint = coordinator_.attempt(first).committed.at(5);
  for (const bool local : {true, false}) {
    if (!local) RemoveRuns("job1");
    const std::string lease = coordinator_.AddJob("job1", R"({"steps": 9})", checkpoint);
    EXPECT_EQ(FinishOf(lease).outcome(), v1::SUCCEEDED) << FinishOf(lease).message();
    EXPECT_EQ(Steps(coordinator_.attempt(lease)), (std::vector<int64_t>{6, 7, 8, 9})) << local;
  }
}

TEST_F(DaemonTest, ADrainDoesNotWaitForACheckpointThatIsBeingFetched) {
  const std::string first = coordinator_.AddJob("job1", R"({"steps": 5, "checkpoint_every": 5})");
  Start();
  ASSERT_TRUE(coordinator_.WaitForFinish(first));
  const v1::Checkpoint checkpoint = coordinator_.attempt(first).committed.at(5);
  RemoveRuns("job1");
  coordinator_.set_chunk_pause(absl::Seconds(2));
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 9})", checkpoint);
  ASSERT_TRUE(WaitForFile(dir_ / "jobs/job1/1-2/checkpoints"));
  absl::SleepFor(absl::Milliseconds(100));  // the fetch has begun, or will find the stop
  const absl::Time begin = absl::Now();
  EXPECT_TRUE(Drain());
  EXPECT_LT(absl::Now() - begin, absl::Seconds(6)) << "of the 16 that the fetch would take";
  EXPECT_EQ(FinishOf(lease).outcome(), v1::CANCELLED);
}

TEST_F(DaemonTest, DamagedCheckpointIsNeverHandedToATrainer) {
  const std::string first = coordinator_.AddJob("job1", R"({"steps": 5, "checkpoint_every": 5})");
  Start();
  ASSERT_TRUE(coordinator_.WaitForFinish(first));
  v1::Checkpoint checkpoint = coordinator_.attempt(first).committed.at(5);
  const std::string file = dir_ / "jobs/job1/1-1/checkpoints/step-000000005/model.safetensors";
  std::fstream(file, std::ios::in | std::ios::out) << "X";
  // The damaged local copy is passed over for the coordinator's.
  const std::string fetched = coordinator_.AddJob("job1", R"({"steps": 6})", checkpoint);
  EXPECT_EQ(FinishOf(fetched).outcome(), v1::SUCCEEDED) << FinishOf(fetched).message();
  EXPECT_EQ(Steps(coordinator_.attempt(fetched)), std::vector<int64_t>{6});
  std::ifstream resumed(dir_ / "jobs/job1/1-2/checkpoints/step-000000005/model.safetensors");
  EXPECT_EQ(resumed.get(), 'm') << "not the X of the damaged copy";
  // What is not what the grant names is refused.
  checkpoint.set_manifest_hash(std::string(32, '0'));
  const std::string refused = coordinator_.AddJob("job1", R"({"steps": 6})", checkpoint);
  EXPECT_EQ(FinishOf(refused).failure_class(), v1::INFRA);
  EXPECT_TRUE(coordinator_.attempt(refused).records.empty());
}

TEST_F(DaemonTest, GoesOnFromTheNewestCheckpointThatIsWholeAtTheCoordinator) {
  const std::string first = coordinator_.AddJob("job1", R"({"steps": 5, "checkpoint_every": 5})");
  Start();
  ASSERT_TRUE(coordinator_.WaitForFinish(first));
  const v1::Checkpoint older = coordinator_.attempt(first).committed.at(5);
  const std::string second = coordinator_.AddJob("job1", R"({"steps": 8, "checkpoint_every": 8})", older);
  ASSERT_TRUE(coordinator_.WaitForFinish(second));
  const v1::Checkpoint newer = coordinator_.attempt(second).committed.at(8);
  RemoveRuns("job1");
  coordinator_.DamageCheckpoint(8);
  const std::string third = coordinator_.AddJob("job1", R"({"steps": 10})", newer);
  EXPECT_EQ(FinishOf(third).outcome(), v1::SUCCEEDED) << FinishOf(third).message();
  EXPECT_EQ(Steps(coordinator_.attempt(third)), (std::vector<int64_t>{6, 7, 8, 9, 10}));
  RemoveRuns("job1");
  coordinator_.DamageCheckpoint(5);
  const std::string fourth = coordinator_.AddJob("job1", R"({"steps": 2})", newer);
  EXPECT_EQ(FinishOf(fourth).outcome(), v1::SUCCEEDED) << FinishOf(fourth).message();
  EXPECT_EQ(Steps(coordinator_.attempt(fourth)), (std::vector<int64_t>{1, 2})) << "none is left";
}

TEST(Daemon, LearnsOverTheWireThatItsLeaseIsStale) {
  testing::TempDir dir;
  FakeCoordinator coordinator;
  FakeServer server(&coordinator);
  auto link = MakeClientLink({.address = server.address(), .folder = server.credentials(), .worker_id = "worker"});
  ASSERT_TRUE(link.ok());
  v1::LeaseRef gone;
  gone.set_job_id("job1");
  StopControl control;
  LeasedCalls calls(link->get(), "worker", gone, &control, [] {});
  const Notification never;
  const absl::Status status =
      calls.Retry(never, [&] { return calls.link().Report(calls.Fill<v1::ReportRequest>()).status(); });
  EXPECT_TRUE(IsStaleLease(status)) << status;
  EXPECT_EQ(control.reason(), StopReason::kStale);
}

// Refuses the first checkpoint for good, and is not to be reached from then on.
class RefusesAndGoes : public FakeCoordinator {
 public:
  absl::Status CommitCheckpoint(const v1::CommitCheckpointRequest& request) override {
    if (refused_.exchange(true)) return FakeCoordinator::CommitCheckpoint(request);
    set_offline(true);
    return absl::InvalidArgumentError("not as it was announced");
  }
  bool refused() const { return refused_; }

 private:
  std::atomic<bool> refused_ = false;
};

// Has lost the folder of a job's only checkpoint, and keeps its row for a person to bring the folder back.
class KeepsADamagedCheckpoint : public FakeCoordinator {
 public:
  absl::Status FetchCheckpoint(const v1::FetchCheckpointRequest& request, ChunkSink sink) override {
    ++fetches_;
    v1::CheckpointChunk chunk;
    chunk.mutable_checkpoint()->set_step(5);
    if (absl::Status status = sink(chunk); !status.ok()) return status;
    return absl::DataLossError("the folder of step 5 is gone");
  }
  int fetches() const { return fetches_; }

 private:
  std::atomic<int> fetches_ = 0;
};

TEST(Daemon, DoesNotAskAgainAndAgainForACheckpointThatStaysDamaged) {
  testing::TempDir dir;
  KeepsADamagedCheckpoint coordinator;
  v1::Checkpoint granted;
  granted.set_step(5);
  const std::string lease = coordinator.AddJob("job1", R"({"steps": 7})", granted);
  Daemon daemon(&coordinator, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir.path().string()));
  daemon.Start();
  ASSERT_TRUE(coordinator.WaitForFinish(lease));
  const v1::FinishRequest finish = coordinator.attempt(lease).finishes[0];
  EXPECT_EQ(finish.failure_class(), v1::INFRA);
  EXPECT_NE(finish.message().find("the folder of step 5 is gone"), std::string::npos) << finish.message();
  EXPECT_EQ(coordinator.fetches(), 2) << "as it was granted, and as the newest that there is";
}

TEST(KilledDaemon, SuccessorTellsOfACheckpointThatWasRefused) {
  testing::TempDir dir;
  RefusesAndGoes coordinator;
  const std::string lease = coordinator.AddJob("job1", R"({"steps": 7, "checkpoint_every": 7})");
  {
    Daemon first(&coordinator, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir.path().string()));
    first.Start();
    const std::string upload = dir / "jobs/job1/1-1/upload";
    for (int i = 0; i < 2000 && !(coordinator.refused() && std::filesystem::is_empty(upload)); ++i)
      absl::SleepFor(absl::Milliseconds(10));
    ASSERT_TRUE(coordinator.refused());
    ASSERT_TRUE(WaitForFile(dir / "jobs/job1/1-1/outcome.json"));
    first.Kill();
  }
  coordinator.set_offline(false);
  Daemon second(&coordinator, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir.path().string()));
  second.Start();
  ASSERT_TRUE(coordinator.WaitForFinish(lease));
  const v1::FinishRequest finish = coordinator.attempt(lease).finishes[0];
  EXPECT_EQ(finish.outcome(), v1::FAILED);
  EXPECT_EQ(finish.failure_class(), v1::INFRA);
  EXPECT_TRUE(finish.message().starts_with("the checkpoint of step 7 is lost: ")) << finish.message();
}

TEST(KilledDaemon, TakesItsTrainersAlongAndItsSuccessorDeliversTheRest) {
  testing::TempDir dir;
  FakeCoordinator coordinator;
  FakeServer server(&coordinator);
  const std::string lease =
      coordinator.AddJob("job1", R"({"steps": 1000000, "ignore_stop": 1, "grandchildren": 2, "setsid": 1})");
  const pid_t first = StartDaemon(server.address(), dir.path().string());
  ASSERT_TRUE(coordinator.WaitFor(lease, HasRecords(50)));
  coordinator.set_offline(true);  // so that events pile up on disk
  ASSERT_TRUE(coordinator.WaitForRefusedReport(lease));
  kill(first, SIGKILL);
  waitpid(first, nullptr, 0);
  coordinator.set_offline(false);
  const size_t before = coordinator.attempt(lease).records.size();

  const pid_t second = StartDaemon(server.address(), dir.path().string());
  ASSERT_TRUE(coordinator.WaitForFinish(lease));
  const Attempt attempt = coordinator.attempt(lease);
  EXPECT_GT(attempt.records.size(), before);
  ExpectStepsWithoutGap(attempt, 50);
  EXPECT_EQ(attempt.finishes[0].failure_class(), v1::INFRA);
  EXPECT_EQ(attempt.finishes[0].message(), "worker restarted");
  EXPECT_EQ(attempt.finishes[0].last_seq(), attempt.records.size());
  EXPECT_TRUE(ProcessesOfRun(dir / "jobs/job1/1-1", 0).empty());
  kill(second, SIGTERM);
  int status = -1;
  waitpid(second, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(KilledDaemon, SuccessorDropsWhatIsStale) {
  testing::TempDir dir;
  FakeCoordinator coordinator;
  FakeServer server(&coordinator);
  const std::string lease = coordinator.AddJob("job1", kLongTraining);
  const pid_t first = StartDaemon(server.address(), dir.path().string());
  ASSERT_TRUE(coordinator.WaitFor(lease, HasRecords(20)));
  kill(first, SIGKILL);
  waitpid(first, nullptr, 0);
  coordinator.MakeStale(lease);
  const std::string next = coordinator.AddJob("job2", "{}");
  const pid_t second = StartDaemon(server.address(), dir.path().string());
  ASSERT_TRUE(coordinator.WaitForFinish(next));
  kill(second, SIGTERM);
  waitpid(second, nullptr, 0);
  EXPECT_TRUE(coordinator.attempt(lease).finishes.empty());
  EXPECT_FALSE(std::filesystem::exists(dir / "jobs/job1/1-1/lease.json"));
}

}  // namespace
}  // namespace sink::worker
