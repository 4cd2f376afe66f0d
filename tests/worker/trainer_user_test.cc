// Trainers as another user than the worker: they do their work, and what is the worker's alone stays so. Skipped where
// this process may not become another user.
#include "worker/trainer_user.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/pipe/events.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/daemon.h"
#include "worker/data_folder.h"
#include "worker/flags.h"
#include "worker/process_tree.h"

namespace sink::worker {
namespace {

using Attempt = FakeCoordinator::Attempt;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kUser[] = "nobody", kOther[] = "daemon";  // whom every system has

TEST(FindTrainerUser, RefusesWhoProtectsNothing) {
  EXPECT_TRUE(absl::IsInvalidArgument(FindTrainerUser("root").status()));
  const auto nobody = FindTrainerUser("no-such-user");
  EXPECT_TRUE(absl::IsNotFound(nobody.status()));
  EXPECT_THAT(std::string(nobody.status().message()), HasSubstr("useradd"));
}

TEST(FindTrainerUser, OneForEachDeviceIsNumbered) {
  const absl::Status first = FindTrainerUsers("no-such-user-%d-x", 3).status();
  EXPECT_TRUE(absl::IsNotFound(first));
  EXPECT_THAT(std::string(first.message()), HasSubstr("no-such-user-0-x"));
  const auto one = FindTrainerUsers(kUser, 8);
  if (!one.ok()) GTEST_SKIP() << one.status().message();
  ASSERT_EQ(one->size(), 1u);
  EXPECT_TRUE(one->front().alone);
}

class TrainerUserTest : public ::testing::Test {
 protected:
  explicit TrainerUserTest(const std::vector<std::string>& names = {kUser}) : names_(names) {}
  ~TrainerUserTest() override { umask(umask_); }
  void SetUp() override {
    for (const std::string& name : names_) {
      const auto user = FindTrainerUser(name);
      if (!user.ok()) GTEST_SKIP() << user.status().message();
      users_.push_back(*user);
      users_.back().alone = names_.size() == 1;
    }
    user_ = users_.front();
    auto folder = DataFolder::Open(data_);
    ASSERT_TRUE(folder.ok()) << folder.status();
    folder_.emplace(*std::move(folder));
    std::filesystem::create_directories(data_ + "/tls");
    std::ofstream(key_) << "the worker's key";
    std::filesystem::permissions(data_ + "/tls", std::filesystem::perms::owner_all);
    ASSERT_EQ(chmod(key_.c_str(), 0644), 0);  // the folder alone protects it
    const absl::Status through = LetThrough(*user_, data_);
    if (absl::IsFailedPrecondition(through)) GTEST_SKIP() << through.message();
    ASSERT_TRUE(through.ok()) << through;
    ASSERT_TRUE(LetThrough(*user_, dir_.path().string()).ok());
    DaemonOptions options = FakeTrainerOptions(data_);
    options.runner.trainer_users = users_;
    daemon_.emplace(&coordinator_, *FindDevices(absl::StrCat("cpu:", users_.size()), nullptr), options);
    daemon_->Start();
  }
  void TearDown() override {
    if (!daemon_) return;
    daemon_->BeginDrain();
    EXPECT_TRUE(daemon_->WaitUntilFinished(absl::Seconds(20)));
  }
  Attempt End(const std::string& lease) {
    EXPECT_TRUE(coordinator_.WaitForFinish(lease));
    return coordinator_.attempt(lease);
  }
  static v1::FinishRequest FinishOf(const Attempt& attempt) {
    return attempt.finishes.empty() ? v1::FinishRequest() : attempt.finishes.back();
  }

  const mode_t umask_ = umask(077);  // as the worker's main has it
  testing::TempDir dir_;
  const std::string data_ = dir_ / "data", key_ = data_ + "/tls/key.pem";
  const std::vector<std::string> names_;
  std::vector<TrainerUser> users_;
  std::optional<TrainerUser> user_;  // the first
  std::optional<DataFolder> folder_;
  FakeCoordinator coordinator_;
  std::optional<Daemon> daemon_;
};

TEST_F(TrainerUserTest, AJobRunsAndGoesOnAndCannotReadTheWorkersKey) {
  const std::string config = absl::StrCat(R"({"steps": 7, "checkpoint_every": 3, "look_at": ")", key_, R"("})");
  const Attempt first = End(coordinator_.AddJob("job1", config));
  EXPECT_EQ(FinishOf(first).outcome(), v1::SUCCEEDED) << FinishOf(first).message();
  EXPECT_THAT(first.records, ::testing::Contains(HasSubstr(absl::StrCat("uid ", user_->uid, " cannot read it"))));
  ASSERT_FALSE(first.committed.empty());
  EXPECT_EQ(first.committed.rbegin()->first, 7);
  // It finds the checkpoint of the first attempt, whose files are the trainer's, and what the worker puts there.
  const Attempt second =
      End(coordinator_.AddJob("job1", R"({"steps": 9, "checkpoint_every": 3})", first.committed.rbegin()->second));
  EXPECT_EQ(FinishOf(second).outcome(), v1::SUCCEEDED) << FinishOf(second).message();
  EXPECT_THAT(second.records.front(), HasSubstr("\"start_step\":7"));
  EXPECT_EQ(second.committed.rbegin()->first, 9);
}

TEST_F(TrainerUserTest, WhatTheWorkerKeepsOfARunIsItsOwn) {
  const std::string lease = coordinator_.AddJob("job1", R"({"steps": 1000000, "step_ms": 5})");
  ASSERT_TRUE(coordinator_.WaitFor(lease, [](const Attempt& attempt) { return attempt.records.size() > 3; }));
  const std::string run = data_ + "/jobs/job1/1-1";
  const std::vector<pid_t> trainers = ProcessesOfRun(run, 0);
  ASSERT_EQ(trainers.size(), 1u);
  std::ifstream environment(absl::StrCat("/proc/", trainers[0], "/environ"));
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(environment), {}), HasSubstr("HOME=" + user_->home));
  EXPECT_TRUE(CheckReach(*user_, run + "/job.json", R_OK).ok());
  EXPECT_TRUE(CheckReach(*user_, run + "/checkpoints", R_OK | W_OK | X_OK).ok());
  for (const std::string& kept : {run + "/lease.json", run + "/spool", key_, data_ + "/lock", data_ + "/worker.id"}) {
    const absl::Status status = CheckReach(*user_, kept, R_OK);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << kept;
    EXPECT_THAT(std::string(status.message()), HasSubstr(kept));
  }
  for (const std::string& listed : {run, data_, data_ + "/jobs"}) {
    EXPECT_FALSE(CheckReach(*user_, listed, R_OK).ok()) << listed;
    EXPECT_FALSE(CheckReach(*user_, listed, W_OK).ok()) << listed;
  }
}

TEST_F(TrainerUserTest, TheOptionSaysWhatThatUserCannotReach) {
  Flags flags;
  flags.trainer = "/bin/true";
  flags.trainer_user = kUser;
  const auto options = MakeDaemonOptions(flags, *folder_);
  ASSERT_TRUE(options.ok()) << options.status();
  ASSERT_EQ(options->runner.trainer_users.size(), 1u);
  EXPECT_EQ(options->runner.trainer_users[0].uid, user_->uid);
  EXPECT_THAT(options->runner.environment, ::testing::Contains(StartsWith("HOME=")).Times(0));  // a run has its user's
  flags.data_root = dir_ / "closed";
  std::filesystem::create_directory(flags.data_root);
  const absl::Status closed = MakeDaemonOptions(flags, *folder_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(closed)) << closed;
  EXPECT_THAT(std::string(closed.message()), HasSubstr("that user cannot use " + flags.data_root));
}

TEST_F(TrainerUserTest, ItsProcessesEndAsAnyTrainers) {
  const Attempt stubborn = End(coordinator_.AddJob(
      "job1", R"({"steps": 3, "ignore_stop": 1, "grandchildren": 3, "setsid": 1, "end": "no_event"})"));
  EXPECT_EQ(FinishOf(stubborn).outcome(), v1::FAILED);
  EXPECT_TRUE(ProcessesOfRun(data_ + "/jobs/job1/1-1", 0).empty());
  // Nothing of its files is left behind either, when it is time.
  ApplyRetention(data_, {.runs_per_job = 0, .total_bytes = 0});
  for (int i = 0; i < 200 && std::filesystem::exists(data_ + "/jobs/job1/1-1/lease.json"); ++i)
    absl::SleepFor(absl::Milliseconds(10));
  ApplyRetention(data_, {.runs_per_job = 0, .total_bytes = 0});
  EXPECT_FALSE(std::filesystem::exists(data_ + "/jobs/job1/1-1"));
}

TEST_F(TrainerUserTest, ARunThatHasEndedIsClosedToTheNextOne) {
  const Attempt first = End(coordinator_.AddJob("job1", R"({"steps": 7, "checkpoint_every": 3})"));
  ASSERT_EQ(FinishOf(first).outcome(), v1::SUCCEEDED) << FinishOf(first).message();
  EXPECT_FALSE(CheckReach(*user_, data_ + "/jobs/job1/1-1/job.json", F_OK).ok());
  EXPECT_FALSE(CheckReach(*user_, data_ + "/jobs/job1/1-1/checkpoints", X_OK).ok());
}

// A user for each of two devices.
class TrainerUsersTest : public TrainerUserTest {
 protected:
  TrainerUsersTest() : TrainerUserTest({kUser, kOther}) {}
};

TEST_F(TrainerUsersTest, JobsOfOneMachineReachEachOtherNot) {
  const char* const endless = R"({"steps": 1000000, "step_ms": 5, "checkpoint_every": 50})";
  const std::string first = coordinator_.AddJob("job1", endless);
  ASSERT_TRUE(coordinator_.WaitFor(first, [](const Attempt& attempt) { return !attempt.committed.empty(); }));
  const std::string run = data_ + "/jobs/job1/1-1";
  const std::string second = coordinator_.AddJob(
      "job2", absl::StrCat(R"({"steps": 1000000, "step_ms": 5, "look_at": ")", run, R"(/job.json"})"));
  ASSERT_TRUE(coordinator_.WaitFor(second, [](const Attempt& attempt) { return attempt.records.size() > 3; }));
  // The kernel lets no process of one user signal, trace or read another's.
  EXPECT_THAT(coordinator_.attempt(second).records,
              ::testing::Contains(HasSubstr(absl::StrCat("uid ", users_[1].uid, " cannot read it"))));
  const v1::LeaseRef lease = coordinator_.attempt(second).grant.lease();
  const std::string other = absl::StrCat(data_, "/jobs/job2/", lease.attempt(), "-", lease.fence());
  for (const std::string& kept : {run + "/job.json", run + "/checkpoints", run + "/lease.json", key_, data_ + "/jobs"})
    EXPECT_FALSE(CheckReach(users_[1], kept, R_OK).ok()) << kept;
  EXPECT_FALSE(CheckReach(users_[0], other + "/job.json", R_OK).ok());
  EXPECT_TRUE(CheckReach(users_[0], run + "/job.json", R_OK).ok());
  EXPECT_TRUE(CheckReach(users_[1], other + "/job.json", R_OK).ok());
  EXPECT_FALSE(CheckReach(users_[1], data_ + "/jobs", W_OK).ok());
}

TEST_F(TrainerUsersTest, AJobGoesOnAsAnotherUser) {
  const Attempt first = End(coordinator_.AddJob("job1", R"({"steps": 7, "checkpoint_every": 3})"));
  ASSERT_EQ(FinishOf(first).outcome(), v1::SUCCEEDED) << FinishOf(first).message();
  ASSERT_FALSE(first.committed.empty());
  // Takes the device of the first attempt.
  const std::string long_one = coordinator_.AddJob("job2", R"({"steps": 1000000, "step_ms": 5})");
  ASSERT_TRUE(coordinator_.WaitFor(long_one, [](const Attempt& attempt) { return attempt.records.size() > 3; }));
  const std::string second =
      coordinator_.AddJob("job1", absl::StrCat(R"({"steps": 1000000, "step_ms": 5, "look_at": ")", key_, R"("})"),
                          first.committed.rbegin()->second);
  ASSERT_TRUE(coordinator_.WaitFor(second, [](const Attempt& attempt) { return attempt.records.size() > 3; }));
  const Attempt attempt = coordinator_.attempt(second);
  EXPECT_THAT(attempt.records, ::testing::Contains(HasSubstr(absl::StrCat("uid ", users_[1].uid, " cannot read it"))));
  EXPECT_THAT(attempt.records.front(), HasSubstr("\"start_step\":7"));
  // What was the first user's is a copy, which the worker could give to the second.
  const v1::LeaseRef& lease = attempt.grant.lease();
  const std::string file = absl::StrCat(data_, "/jobs/job1/", lease.attempt(), "-", lease.fence(),
                                        "/checkpoints/step-000000007/model.safetensors");
  EXPECT_TRUE(CheckReach(users_[1], file, R_OK).ok());
  EXPECT_FALSE(CheckReach(users_[0], file, R_OK).ok());
}

}  // namespace
}  // namespace sink::worker
