// A power cut or a bad disk takes events of an attempt that has ended, before the next daemon delivers them: the
// attempt ends all the same, and as what it is.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <variant>

#include "absl/time/clock.h"
#include "proto/pipe/events.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/daemon.h"
#include "worker/spool.h"

namespace sink::worker {
namespace {

// Takes no reports or no checkpoints while it is told so.
class Overtaxed : public FakeCoordinator {
 public:
  absl::StatusOr<v1::ReportResponse> Report(const v1::ReportRequest& request) override {
    if (!no_reports) return FakeCoordinator::Report(request);
    ++reports_not_taken;
    return absl::UnavailableError("too busy");
  }
  absl::StatusOr<v1::BeginCheckpointResponse> BeginCheckpoint(const v1::BeginCheckpointRequest& request) override {
    if (!no_checkpoints) return FakeCoordinator::BeginCheckpoint(request);
    return absl::UnavailableError("too busy");
  }

  std::atomic<bool> no_reports = false, no_checkpoints = false;
  std::atomic<int> reports_not_taken = 0;
};

// What the disk does to the spool's one segment.
void Lose(const std::filesystem::path& segment) { std::filesystem::remove(segment); }
void Cut(const std::filesystem::path& segment) {
  std::filesystem::resize_file(segment, std::filesystem::file_size(segment) / 2);
}
void Garble(const std::filesystem::path& segment) {
  std::fstream file(segment, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(segment) / 2));
  file.write("\xff\xff\xff\xff", 4);
}
using Damage = void (*)(const std::filesystem::path& segment);

class DamagedSpoolTest : public ::testing::Test {
 protected:
  void StartDaemon() {
    daemon_.emplace(&coordinator_, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir_.path().string()));
    daemon_->Start();
  }
  // Once the attempt has ended, as far as the daemon knows.
  void KillAtTheEnd() {
    const std::string outcome = run_ + "/outcome.json";
    for (int i = 0; i < 2000 && !std::filesystem::exists(outcome); ++i) absl::SleepFor(absl::Milliseconds(10));
    ASSERT_TRUE(std::filesystem::exists(outcome));
    daemon_->Kill();
    daemon_.reset();
  }
  // The job has ended, and the coordinator has heard of some of its events.
  void LeaveBehind(const std::string& config) {
    lease_ = coordinator_.AddJob("job1", config);
    StartDaemon();
    ASSERT_TRUE(coordinator_.WaitFor(lease_, [](const auto& attempt) { return attempt.records.size() >= 10; }));
    coordinator_.no_reports = true;
    ASSERT_NO_FATAL_FAILURE(KillAtTheEnd());
    ASSERT_LT(coordinator_.attempt(lease_).records.size(), 200u);
  }
  void Spoil(Damage damage) const {
    const std::string spool = run_ + "/spool";
    const std::filesystem::path segment = std::filesystem::directory_iterator(spool)->path();
    ASSERT_EQ(std::distance(std::filesystem::directory_iterator(spool), {}), 1);
    damage(segment);
  }
  v1::FinishRequest Finish() {
    EXPECT_TRUE(coordinator_.WaitForFinish(lease_));
    const FakeCoordinator::Attempt attempt = coordinator_.attempt(lease_);
    return attempt.finishes.empty() ? v1::FinishRequest() : attempt.finishes.back();
  }
  static std::string LogOf(const std::string& record) {
    const auto parsed = pipe::Parse(record);
    const auto* line = parsed.event ? std::get_if<pipe::Log>(&*parsed.event) : nullptr;
    return line == nullptr ? "" : line->message;
  }

  testing::TempDir dir_;
  const std::string run_ = dir_ / "jobs/job1/1-1";
  Overtaxed coordinator_;
  std::string lease_;
  std::optional<Daemon> daemon_;
};

class AnyDamageTest : public DamagedSpoolTest, public ::testing::WithParamInterface<Damage> {};

TEST_P(AnyDamageTest, EventsThatTheCoordinatorHasAreNotMissed) {
  coordinator_.no_checkpoints = true;
  lease_ = coordinator_.AddJob("job1", R"({"steps": 7, "checkpoint_every": 7})");
  StartDaemon();
  const size_t all = 10;  // with a hello, a checkpoint and the end
  ASSERT_TRUE(coordinator_.WaitFor(lease_, [&](const auto& attempt) { return attempt.records.size() == all; }));
  ASSERT_NO_FATAL_FAILURE(KillAtTheEnd());
  ASSERT_NO_FATAL_FAILURE(Spoil(GetParam()));
  coordinator_.no_checkpoints = false;
  StartDaemon();
  const v1::FinishRequest finish = Finish();
  EXPECT_EQ(finish.outcome(), v1::SUCCEEDED) << finish.message();
  EXPECT_EQ(finish.last_seq(), all);
  EXPECT_EQ(coordinator_.attempt(lease_).committed.count(7), 1u);
}

TEST_P(AnyDamageTest, AnEndWithoutItsEventsIsAFailureOfTheWorker) {
  ASSERT_NO_FATAL_FAILURE(LeaveBehind(R"({"steps": 200, "step_ms": 5})"));
  ASSERT_NO_FATAL_FAILURE(Spoil(GetParam()));
  coordinator_.no_reports = false;
  StartDaemon();
  const v1::FinishRequest finish = Finish();
  EXPECT_EQ(finish.outcome(), v1::FAILED);
  EXPECT_EQ(finish.failure_class(), v1::INFRA);
  const FakeCoordinator::Attempt attempt = coordinator_.attempt(lease_);
  EXPECT_EQ(finish.message(), SpoolDamage(attempt.records.size()));
  EXPECT_EQ(finish.last_seq(), attempt.records.size());
  ASSERT_LT(attempt.records.size(), 200u);
  for (size_t i = 1; i < attempt.records.size(); ++i) {
    const auto parsed = pipe::Parse(attempt.records[i]);
    const auto* metrics = parsed.event ? std::get_if<pipe::Metrics>(&*parsed.event) : nullptr;
    ASSERT_NE(metrics, nullptr) << attempt.records[i];
    EXPECT_EQ(metrics->step, static_cast<int64_t>(i));
  }
}

TEST_P(AnyDamageTest, ACheckpointWithoutItsEventsIsDiscardedAndTheJobsLogSaysSo) {
  ASSERT_NO_FATAL_FAILURE(LeaveBehind(R"({"steps": 200, "step_ms": 5, "checkpoint_every": 200})"));
  ASSERT_NO_FATAL_FAILURE(Spoil(GetParam()));
  coordinator_.no_reports = false;
  StartDaemon();
  const v1::FinishRequest finish = Finish();
  EXPECT_EQ(finish.outcome(), v1::FAILED);
  EXPECT_EQ(finish.failure_class(), v1::INFRA);
  const FakeCoordinator::Attempt attempt = coordinator_.attempt(lease_);
  EXPECT_EQ(finish.message(), SpoolDamage(attempt.records.size() - 1));
  const std::string told =
      "the checkpoint of step 200 is lost: the worker's spool was damaged, and events before it are lost";
  EXPECT_EQ(LogOf(attempt.records.back()), told);
  EXPECT_EQ(finish.undelivered(), told);
  EXPECT_EQ(finish.last_seq(), attempt.records.size());
  EXPECT_EQ(attempt.committed.count(200), 0u);
}

INSTANTIATE_TEST_SUITE_P(Disk, AnyDamageTest, ::testing::Values(&Lose, &Cut, &Garble), [](const auto& param_info) {
  return std::string(param_info.param == &Lose ? "loses" : param_info.param == &Cut ? "cuts" : "garbles");
});

TEST_F(DamagedSpoolTest, ADaemonThatCannotAskTheCoordinatorLeavesTheMatterToTheNext) {
  ASSERT_NO_FATAL_FAILURE(LeaveBehind(R"({"steps": 200, "step_ms": 5})"));
  ASSERT_NO_FATAL_FAILURE(Spoil(&Lose));
  const int before = coordinator_.reports_not_taken;
  StartDaemon();
  for (int i = 0; i < 2000 && coordinator_.reports_not_taken == before; ++i) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_GT(coordinator_.reports_not_taken, before);
  daemon_->Kill();
  daemon_.reset();
  coordinator_.no_reports = false;
  StartDaemon();
  const v1::FinishRequest finish = Finish();
  EXPECT_EQ(finish.outcome(), v1::FAILED);
  EXPECT_EQ(finish.message(), SpoolDamage(coordinator_.attempt(lease_).records.size()));
}

TEST_F(DamagedSpoolTest, AFailureStaysTheOneThatItWas) {
  ASSERT_NO_FATAL_FAILURE(
      LeaveBehind(R"({"steps": 200, "step_ms": 5, "end": "failed", "class": "user", "message": "no such layer"})"));
  ASSERT_NO_FATAL_FAILURE(Spoil(&Lose));
  coordinator_.no_reports = false;
  StartDaemon();
  const v1::FinishRequest finish = Finish();
  EXPECT_EQ(finish.failure_class(), v1::USER) << "another try would end as this one did";
  EXPECT_EQ(finish.message(), "no such layer");
  EXPECT_EQ(finish.undelivered(), SpoolDamage(coordinator_.attempt(lease_).records.size()));
}

}  // namespace
}  // namespace sink::worker
