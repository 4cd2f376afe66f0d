// What is said of a disk that has room, and of checkpoints that need more of it than there is. Time is a number.
#include "coordinator/service/disk_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>
#include <string>

#include "coordinator/service/families.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class DiskWatchTest : public ::testing::Test {
 protected:
  DiskWatchTest() : before_(spdlog::default_logger()) {
    auto logger =
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines_, true));
    logger->set_pattern("%l: %v");
    logger->set_level(spdlog::level::info);
    spdlog::set_default_logger(logger);
  }
  ~DiskWatchTest() override { spdlog::set_default_logger(before_); }

  // What a look adds to the log.
  std::string Look(int64_t now_ms, const absl::Status& checkpoints = absl::OkStatus()) {
    lines_.str("");
    watch_.Look(now_ms, checkpoints);
    return lines_.str();
  }
  void Refuse(const std::string& job, int64_t now_ms) {
    watch_.Refused(job, absl::ResourceExhaustedError("disk full: the checkpoint needs 4160 MiB, 3072 MiB are free"),
                   now_ms);
  }
  static Job JobNamed(const std::string& id, JobState state, bool cancel_requested = false) {
    Job job;
    job.id = id;
    job.state = state;
    job.cancel_requested = cancel_requested;
    return job;
  }
  std::string WarningFor(const std::string& job, bool cancel_requested = false) const {
    return watch_.WarningFor(JobNamed(job, JobState::kFinalizing, cancel_requested));
  }
  double Waiting() const { return Series("sink_checkpoints_waiting"); }
  double Away() const { return Series("sink_checkpoints_away"); }
  double Series(const std::string& name) const {
    Families families;
    watch_.AddSeries(&families);
    for (const auto& family : families.Take()) {
      if (family.name == name) return family.metric.at(0).gauge.value;
    }
    return -1;
  }

  const std::string kJob = std::string(32, 'a'), kOther = std::string(32, 'b');
  testing::TempDir folder_;
  DiskWatch watch_{folder_ / "", /*reserve_bytes=*/0};

  std::ostringstream lines_;

 private:
  std::shared_ptr<spdlog::logger> before_;
};

TEST_F(DiskWatchTest, ACheckpointThatDoesNotFitIsToldUntilItsUploadBegins) {
  EXPECT_EQ(Look(0), "");
  EXPECT_EQ(watch_.Warning(), "");
  const uint64_t before = watch_.changes();
  Refuse(kJob, 1000);
  EXPECT_THAT(Look(1000), StartsWith("error: the coordinator has no room for a checkpoint of job aaaaaaaa,"));
  EXPECT_THAT(watch_.Warning(), AllOf(HasSubstr("needs 4160 MiB, 3072 MiB are free"), HasSubstr("make room")));
  EXPECT_THAT(WarningFor(kJob), AllOf(StartsWith("its checkpoint waits"), HasSubstr("needs 4160 MiB")));
  EXPECT_THAT(WarningFor(kJob, /*cancel_requested=*/true),
              AllOf(HasSubstr("is given up after its worker's grace"), HasSubstr("needs 4160 MiB"),
                    Not(HasSubstr("cannot end"))));
  EXPECT_EQ(watch_.WarningFor(JobNamed(kJob, JobState::kCancelled)), "") << "it has ended";
  EXPECT_EQ(WarningFor(kOther), "") << "it has room";
  EXPECT_EQ(watch_.changes(), before + 1);
  EXPECT_EQ(Waiting(), 1);
  EXPECT_FALSE(watch_.full());
  EXPECT_TRUE(watch_.CheckRoom().ok()) << "smaller ones fit";

  Refuse(kOther, 2000);
  Look(2000);
  EXPECT_THAT(watch_.Warning(), HasSubstr("(and of 1 more)"));
  EXPECT_EQ(watch_.changes(), before + 1) << "no other warning";
  watch_.FoundRoom(kJob);
  watch_.WaitsNoMore(kOther);
  EXPECT_THAT(Look(3000), StartsWith("info: the disk of " + (folder_ / "") + " keeps no checkpoint waiting any more"));
  EXPECT_EQ(watch_.Warning(), "");
  EXPECT_EQ(WarningFor(kJob), "");
  EXPECT_EQ(watch_.changes(), before + 2);
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(DiskWatchTest, ACheckpointThatCannotBeWrittenIsToldWithItsPathAndTheWayOutUntilOneIsStored) {
  const std::string fault = "cannot create /var/lib/sink/checkpoints/aa: Read-only file system";
  watch_.Refused(kJob, absl::PermissionDeniedError(fault), 1000);
  EXPECT_THAT(Look(1000), AllOf(StartsWith("error: the coordinator cannot store a checkpoint of job aaaaaaaa,"),
                                HasSubstr(fault), HasSubstr("chown"), Not(HasSubstr("room"))));
  EXPECT_THAT(watch_.Warning(), HasSubstr(fault));
  EXPECT_THAT(WarningFor(kJob), AllOf(HasSubstr("without which it cannot end"), HasSubstr(fault), HasSubstr("chown")));
  EXPECT_THAT(WarningFor(kJob, /*cancel_requested=*/true), HasSubstr("is given up after its worker's grace"));
  EXPECT_EQ(Waiting(), 1);
  EXPECT_TRUE(watch_.CheckRoom().ok()) << "jobs and sweeps need no checkpoint yet";
  watch_.FoundRoom(kJob);
  EXPECT_THAT(WarningFor(kJob), HasSubstr(fault)) << "that an upload begins does not say that it ends";
  watch_.Refused(kJob, absl::InternalError("cannot open /var/lib/sink/checkpoints/aa: Too many open files"), 2000);
  EXPECT_THAT(WarningFor(kJob), AllOf(HasSubstr("Too many open files"), HasSubstr("LimitNOFILE")));
  watch_.WaitsNoMore(kJob);
  EXPECT_EQ(WarningFor(kJob), "");
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(DiskWatchTest, TheLogSaysEvery30SecondsThatACheckpointWaits) {
  int lines = 0;
  for (int64_t now_ms = 0; now_ms < 90'000; now_ms += 1000) {
    Refuse(kJob, now_ms);
    lines += Look(now_ms).empty() ? 0 : 1;
  }
  EXPECT_EQ(lines, 3);
}

TEST_F(DiskWatchTest, ACheckpointThatNobodyTriesToSendAnyMoreDoesNotWait) {
  Refuse(kJob, 1000);
  Look(1000 + DiskWatch::kForgottenAfterMs);
  EXPECT_NE(watch_.Warning(), "") << "its worker may be about to try again";
  Look(1001 + DiskWatch::kForgottenAfterMs);
  EXPECT_EQ(watch_.Warning(), "");
}

TEST_F(DiskWatchTest, ThatAllCheckpointsAreAwayIsToldOnceToEverybodyUntilTheyAreThereAgain) {
  const absl::Status away = absl::ResourceExhaustedError("the coordinator's checkpoints are away: mount their disk");
  EXPECT_EQ(Look(0), "");
  EXPECT_EQ(Away(), 0);
  Refuse(kOther, 1000);
  const uint64_t before = watch_.changes();
  EXPECT_THAT(Look(1000, away), StartsWith("error: the coordinator's checkpoints are away: mount their disk; "));
  EXPECT_EQ(Look(2000, away), "");
  EXPECT_EQ(watch_.changes(), before + 1);
  EXPECT_THAT(watch_.Warning(), StartsWith("the coordinator's checkpoints are away"));
  EXPECT_EQ(WarningFor(kJob), watch_.Warning()) << "it cannot send one either";
  EXPECT_EQ(WarningFor(kOther), watch_.Warning()) << "room would not help";
  EXPECT_EQ(watch_.WarningFor(JobNamed(kJob, JobState::kSucceeded)), "");
  EXPECT_EQ(watch_.WarningFor(JobNamed(kJob, JobState::kQueued)), "") << "its explanation says so where it matters";
  EXPECT_EQ(Away(), 1);
  EXPECT_FALSE(watch_.full());
  EXPECT_TRUE(watch_.CheckRoom().ok()) << "sweeps may come";
  watch_.WaitsNoMore(kOther);
  EXPECT_THAT(Look(3000), HasSubstr("are there again"));
  EXPECT_EQ(watch_.Warning(), "");
  EXPECT_EQ(Away(), 0);
}

TEST_F(DiskWatchTest, ADatabaseThatIsNotAtItsPlaceIsToldOnceToEverybodyAndNothingIsTakenMeanwhile) {
  const absl::Status moved = absl::UnavailableError("the coordinator's database is not at its place");
  EXPECT_EQ(Look(0), "");
  const uint64_t before = watch_.changes();
  lines_.str("");
  watch_.Look(1000, absl::OkStatus(), moved);
  EXPECT_THAT(lines_.str(), StartsWith("error: the coordinator's database is not at its place"));
  lines_.str("");
  watch_.Look(2000, absl::OkStatus(), moved);
  EXPECT_EQ(lines_.str(), "");
  EXPECT_EQ(watch_.changes(), before + 1);
  EXPECT_EQ(watch_.Warning(), moved.message());
  EXPECT_EQ(WarningFor(kJob), moved.message());
  EXPECT_EQ(watch_.CheckRoom(), absl::FailedPreconditionError(moved.message()));
  EXPECT_THAT(Look(3000), HasSubstr("at its place again"));
  EXPECT_EQ(watch_.Warning(), "");
  EXPECT_TRUE(watch_.CheckRoom().ok());
}

TEST_F(DiskWatchTest, AFullDiskIsToldOnceAndComesBeforeWhatWaits) {
  DiskWatch full(folder_ / "", uint64_t{1} << 60);
  full.Refused(kJob, absl::ResourceExhaustedError("disk full"), 0);
  full.Look(0);
  EXPECT_THAT(full.Warning(), AllOf(StartsWith("the coordinator's disk is full"), HasSubstr("; nothing is started, "),
                                    HasSubstr("sweeps and retries are refused")));
  EXPECT_EQ(full.WarningFor(JobNamed(kOther, JobState::kRunning)), full.Warning());
  EXPECT_EQ(full.WarningFor(JobNamed(kOther, JobState::kQueued)), "") << "its explanation says so";
  EXPECT_TRUE(full.full());
  EXPECT_TRUE(absl::IsResourceExhausted(full.CheckRoom()));
  const uint64_t changes = full.changes();
  full.Look(1000);
  EXPECT_EQ(full.changes(), changes);
}

}  // namespace
}  // namespace sink
