// A worker's disk, or its spool, that takes no more events while a job runs: an attempt loses none, or does not count.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/clock.h"
#include "proto/pipe/events.h"
#include "tests/testing/full_disk.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/daemon.h"

namespace sink::worker {
namespace {

// Takes no events while it is told so.
class TakesNoEvents : public FakeCoordinator {
 public:
  absl::StatusOr<v1::ReportResponse> Report(const v1::ReportRequest& request) override {
    if (takes_none) return absl::UnavailableError("too busy");
    return FakeCoordinator::Report(request);
  }
  std::atomic<bool> takes_none = false;
};

class FullSpoolTest : public ::testing::Test {
 protected:
  void StartJob(const std::string& config) {
    lease_ = coordinator_.AddJob("job1", config);
    StartDaemon();
  }
  void StartDaemon() {
    daemon_.emplace(&coordinator_, *FindDevices("cpu:1", nullptr), options_);
    daemon_->Start();
  }
  // Until the trainer is gone, with what the coordinator does not take.
  void WaitForTheEnd() const {
    const std::string outcome = dir_ / "jobs/job1/1-1/outcome.json";
    for (int i = 0; i < 2000 && !std::filesystem::exists(outcome); ++i) absl::SleepFor(absl::Milliseconds(10));
    ASSERT_TRUE(std::filesystem::exists(outcome));
  }
  v1::FinishRequest Finish() {
    EXPECT_TRUE(coordinator_.WaitForFinish(lease_));
    const FakeCoordinator::Attempt attempt = coordinator_.attempt(lease_);
    return attempt.finishes.empty() ? v1::FinishRequest() : attempt.finishes.back();
  }
  // How many steps from the first on have arrived, in order, before one is missing.
  int64_t StepsWithoutGap() {
    int64_t steps = 0;
    for (const std::string& record : coordinator_.attempt(lease_).records) {
      const auto parsed = pipe::Parse(record);
      const auto* metrics = parsed.event ? std::get_if<pipe::Metrics>(&*parsed.event) : nullptr;
      if (metrics != nullptr && metrics->step == steps + 1) ++steps;
    }
    return steps;
  }

  static constexpr size_t kDiskBytes = 8 << 10;  // enough for every file but the events'
  testing::TempDir dir_;
  TakesNoEvents coordinator_;
  DaemonOptions options_ = FakeTrainerOptions(dir_.path().string());
  std::string lease_;
  std::optional<Daemon> daemon_;
};

TEST_F(FullSpoolTest, WhatComesBeyondItsLimitIsHeldAndNothingIsLost) {
  options_.runner.spool = {.max_bytes = 2000, .segment_bytes = 500};
  coordinator_.takes_none = true;
  StartJob(R"({"steps": 200, "checkpoint_every": 200})");
  ASSERT_NO_FATAL_FAILURE(WaitForTheEnd());
  coordinator_.takes_none = false;
  const v1::FinishRequest finish = Finish();
  EXPECT_EQ(finish.outcome(), v1::SUCCEEDED) << finish.message();
  EXPECT_EQ(StepsWithoutGap(), 200);
  EXPECT_EQ(coordinator_.attempt(lease_).committed.count(200), 1u);
}

TEST_F(FullSpoolTest, ADiskThatStaysFullCostsNoEventOfAJobThatNeedsNoCheckpoint) {
  v1::FinishRequest finish;
  {
    const testing::FullDisk full(kDiskBytes);
    StartJob(R"({"steps": 300})");
    finish = Finish();
  }
  size_t bytes = 0;
  for (const std::string& record : coordinator_.attempt(lease_).records) bytes += record.size();
  EXPECT_GT(bytes, kDiskBytes) << "the disk was never full";
  EXPECT_EQ(finish.outcome(), v1::SUCCEEDED) << finish.message();
  EXPECT_EQ(StepsWithoutGap(), 300);
}

TEST_F(FullSpoolTest, AnEndWhoseEventsWereInTheMemoryOfADaemonThatDiedIsAFailureOfTheWorker) {
  coordinator_.takes_none = true;
  {
    const testing::FullDisk full(kDiskBytes);
    StartJob(R"({"steps": 300})");
    ASSERT_NO_FATAL_FAILURE(WaitForTheEnd());
    daemon_->Kill();
    daemon_.reset();
  }
  coordinator_.takes_none = false;
  StartDaemon();
  const v1::FinishRequest finish = Finish();
  EXPECT_EQ(finish.outcome(), v1::FAILED);
  EXPECT_EQ(finish.failure_class(), v1::INFRA);
  EXPECT_EQ(finish.message(), SpoolDamage(coordinator_.attempt(lease_).records.size()));
  EXPECT_LT(StepsWithoutGap(), 300);
}

TEST_F(FullSpoolTest, AnAttemptThatHasLostEventsStopsAndFailsAndOffersNoCheckpointFromBehindThem) {
  options_.runner.spool = {.max_bytes = 100000, .segment_bytes = 10000, .max_held_bytes = 10000};
  StartJob(R"({"steps": 1000000, "step_ms": 2, "checkpoint_every": 20})");
  ASSERT_TRUE(coordinator_.WaitFor(lease_, [](const auto& attempt) { return !attempt.committed.empty(); }));
  coordinator_.takes_none = true;
  ASSERT_NO_FATAL_FAILURE(WaitForTheEnd());  // which is also when the trainer has saved once more
  coordinator_.takes_none = false;
  const v1::FinishRequest finish = Finish();
  EXPECT_EQ(finish.outcome(), v1::FAILED);
  EXPECT_EQ(finish.failure_class(), v1::INFRA);
  EXPECT_THAT(finish.message(), ::testing::ContainsRegex("^[0-9]+ events? lost: .*/spool is full of [0-9]+ bytes"));
  const FakeCoordinator::Attempt attempt = coordinator_.attempt(lease_);
  EXPECT_LE(attempt.committed.rbegin()->first, StepsWithoutGap());
  EXPECT_TRUE(std::any_of(attempt.records.begin(), attempt.records.end(), [](const std::string& record) {
    return record.find("were lost here") != std::string::npos;
  }));
}

}  // namespace
}  // namespace sink::worker
