// The guard over the rules, an in-memory store and a real folder: what a test does between two of its looks, a worker
// may do.
#include "coordinator/service/checkpoint_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "coordinator/core/job_manager.h"
#include "coordinator/store/checkpoint_folder.h"
#include "coordinator/store/memory_store.h"
#include "proto/files/hash.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

class CheckpointGuardTest : public ::testing::Test {
 protected:
  // A job that a worker has.
  CheckpointGuardTest() {
    CoreOptions options;
    options.new_lease_id = [] { return std::string(32, 'c'); };
    jobs_ = *JobManager::Start(&store_, options, nullptr, kNow);
    guard_ = std::make_unique<CheckpointGuard>(&jobs_->checkpoints(), &jobs_->queries(), &repository_, &fail_stop_,
                                               [] { return kNow; });
    SubmitRequest submit;
    submit.sweep = "s";
    submit.jobs.push_back({.id = kJob, .config_json = "{}", .max_steps = 100, .experiment = "e"});
    EXPECT_TRUE(jobs_->clients().Submit(submit, kNow).ok());
    RegisterRequest registration;
    registration.worker_id = registration.name = "w";
    registration.session = "a";
    registration.devices = 1;
    EXPECT_TRUE(jobs_->workers().Register(registration, kNow).ok());
    const auto grants = jobs_->dispatcher().AcquireLeases({"w", "a", 1, 1}, kNow);
    EXPECT_TRUE(grants.ok() && grants->size() == 1) << grants.status();
    lease_ = grants->front().lease;
  }

  std::vector<Checkpoint> Rows() { return *jobs_->queries().ListCheckpoints(kJob); }

  // As a worker brings one: its bytes, its row, and the files go that it has pushed out.
  void Upload(int64_t step) {
    const CheckpointKey key{kJob, lease_.fence, step};
    const std::string bytes = "weights of step " + std::to_string(step), hash = files::Hash(bytes);
    const std::vector<CheckpointFile> files = {{"model.safetensors", bytes.size(), hash}};
    ASSERT_TRUE(repository_.Begin(key, hash, files, Rows()).ok());
    ASSERT_TRUE(repository_.Write(key, files[0].name, 0, bytes).ok());
    ASSERT_TRUE(repository_.Commit(key, hash).ok());
    ASSERT_TRUE(jobs_->workers().CommitCheckpoint("w", lease_, {step, hash, files, 0}, kNow).ok());
    ASSERT_TRUE(repository_.KeepOnly(key, Rows()).ok());
  }
  // So that what is damaged stays.
  void Succeed() {
    ASSERT_TRUE(jobs_->workers().Finish({"w", lease_, JobState::kSucceeded, FailureClass::kNone, "", 0}, kNow).ok());
  }
  void WriteAt0(int64_t step, char byte) {
    std::ofstream(FolderOf(step) + "/model.safetensors", std::ios::in | std::ios::out) << byte;
  }
  // A checkpoint of the job whose one file, which is empty, the disk does not give: read(2) answers EIO. And one that
  // it gives again.
  void CommitUnreadable(int64_t step) {
    std::filesystem::create_directories(std::filesystem::path(FolderOf(step)).parent_path());
    TakeFromReader(step);
    const std::string hash = files::Hash("");
    ASSERT_TRUE(jobs_->workers().CommitCheckpoint("w", lease_, {step, hash, {{"mem", 0, hash}}, 0}, kNow).ok());
  }
  void TakeFromReader(int64_t step) {
    std::filesystem::remove_all(FolderOf(step));
    std::filesystem::create_directory_symlink("/proc/self", FolderOf(step));  // nothing lies at address 0 of a process
  }
  void GiveToReader(int64_t step) {
    std::filesystem::remove(FolderOf(step));
    std::filesystem::create_directories(FolderOf(step));
    std::ofstream(FolderOf(step) + "/mem");
  }
  void Scrub() { EXPECT_TRUE(guard_->ScrubAll(/*bytes_per_second=*/1 << 30)); }

  // The disk of all checkpoints is not mounted, and the folder is an empty one; and it is mounted again, over what has
  // come into that meanwhile.
  void Unmount() {
    std::filesystem::rename(folder_ / "checkpoints", folder_ / "unmounted");
    std::filesystem::create_directories(folder_ / "checkpoints");
  }
  void Mount() {
    std::filesystem::remove_all(folder_ / "checkpoints");
    std::filesystem::rename(folder_ / "unmounted", folder_ / "checkpoints");
  }
  std::string FolderOf(int64_t step) const {
    return folder_ / ("checkpoints/" + kJob + "/" + std::to_string(lease_.fence) + "/step-" + std::to_string(step));
  }

  static constexpr Now kNow{.unix_ms = 1'800'000'000'000, .steady_ms = 1000};
  const std::string kJob = std::string(32, '1');
  testing::TempDir folder_;
  store::MemoryStore store_;
  FailStop fail_stop_;
  CheckpointRepository repository_{folder_ / "checkpoints", /*reserve_bytes=*/0, std::numeric_limits<uint64_t>::max(),
                                   store::GiveFolderId(folder_ / "checkpoints").value_or(0)};
  std::unique_ptr<JobManager> jobs_;
  std::unique_ptr<CheckpointGuard> guard_;
  Lease lease_;
};

absl::Status Drop(const std::string&, uint64_t, std::string&) { return absl::OkStatus(); }

TEST_F(CheckpointGuardTest, CheckpointsThatNewerOnesPushOutWhileTheyAreVerifiedAreNotCalledDamaged) {
  for (const int64_t step : {10, 20}) Upload(step);
  const std::vector<Checkpoint> rows = Rows();
  ASSERT_EQ(rows.size(), 2u);
  Upload(30);
  ASSERT_FALSE(std::filesystem::exists(FolderOf(10)));
  auto found = guard_->Verify(rows);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1u) << "that of step 10 is none of the job's any more";
  EXPECT_EQ((*found)[0].first.step, 20);
  EXPECT_EQ((*found)[0].second, "");
  Upload(40);
  found = guard_->Verify(rows);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->empty());
}

TEST_F(CheckpointGuardTest, ACheckpointThatStillCountsAndHasLostItsFolderIsCalledDamaged) {
  Upload(10);
  std::filesystem::remove_all(FolderOf(10));
  const auto found = guard_->Verify(Rows());
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1u);
  EXPECT_THAT((*found)[0].second, ::testing::HasSubstr("damaged"));
}

TEST_F(CheckpointGuardTest, WhatIsPushedOutWhileItIsDownloadedIsNotCalledDamagedAndWhatIsDamagedIsDropped) {
  Upload(10);
  const Checkpoint pushed_out = Rows().front();
  for (const int64_t step : {20, 30}) Upload(step);
  EXPECT_EQ(guard_->SendOpened(pushed_out, Drop).code(), absl::StatusCode::kAborted);
  ASSERT_EQ(Rows().size(), 2u);
  std::ofstream(FolderOf(30) + "/model.safetensors", std::ios::in | std::ios::out) << 'W';
  const absl::Status damaged = guard_->SendOpened(Rows().front(), Drop);
  EXPECT_EQ(damaged.code(), absl::StatusCode::kDataLoss) << damaged;
  EXPECT_THAT(std::string(damaged.message()), ::testing::HasSubstr("it was dropped"));
  ASSERT_EQ(Rows().size(), 1u);
  EXPECT_EQ(Rows().front().step, 20);
}

TEST_F(CheckpointGuardTest, DamageIsForgottenOnceADownloadHasReadTheCheckpointWhole) {
  Upload(10);
  Succeed();
  const Checkpoint row = Rows().front();
  const auto write = [](const v1::CheckpointChunk&) { return true; };
  const std::vector<std::function<absl::Status()>> downloads = {
      [&] { return guard_->Send({row}, 10, SentTo::kPeople, write); }, [&] { return guard_->SendOpened(row, Drop); }};
  for (const auto& download : downloads) {
    WriteAt0(10, 'W');
    EXPECT_EQ(download().code(), absl::StatusCode::kDataLoss);
    EXPECT_NE(guard_->DamageOf(row), "");
    WriteAt0(10, 'w');
    EXPECT_TRUE(download().ok());
    EXPECT_EQ(guard_->DamageOf(row), "");
  }
}

TEST_F(CheckpointGuardTest, DamageIsForgottenWithTheCheckpointThatIsDropped) {
  Upload(10);
  const Checkpoint row = Rows().front();
  std::filesystem::remove_all(FolderOf(10));
  EXPECT_EQ(guard_->SendOpened(row, Drop).code(), absl::StatusCode::kDataLoss);
  ASSERT_NE(guard_->DamageOf(row), "") << "its folder may come back";
  guard_->RemoveLeftovers(kJob);
  EXPECT_NE(guard_->DamageOf(row), "") << "it is there yet";
  ASSERT_TRUE(jobs_->checkpoints().Drop(kJob, {10}).ok());
  guard_->RemoveLeftovers(kJob);
  EXPECT_EQ(guard_->DamageOf(row), "");
}

TEST_F(CheckpointGuardTest, ThoseThatAreDamagedAreToldUpToANumberThatDroppedOnesDoNotTakeUp) {
  for (const int64_t step : {10, 20}) Upload(step);
  Succeed();
  for (const Checkpoint& row : Rows()) {
    WriteAt0(row.step, 'W');
    EXPECT_EQ(guard_->SendOpened(row, Drop).code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_EQ(guard_->Damaged(1).size(), 1u);
  EXPECT_EQ(guard_->Damaged(5).size(), 2u);
  ASSERT_TRUE(jobs_->checkpoints().Drop(kJob, {10}).ok());
  const auto left = guard_->Damaged(1);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].first.step, 20);
  EXPECT_NE(left[0].second, "");
}

TEST_F(CheckpointGuardTest, WhileTheDiskOfAllCheckpointsIsAwayNothingIsTakenDroppedOrRemoved) {
  for (const int64_t step : {10, 20}) Upload(step);
  const std::vector<Checkpoint> rows = Rows();
  ASSERT_TRUE(repository_.Begin({kJob, lease_.fence, 30}, "hash", {{"a.safetensors", 9, "x"}}, rows).ok());
  Unmount();
  // As a coordinator left it there that did not look.
  std::filesystem::create_directories(FolderOf(30));
  const std::vector<absl::Status> refused = {
      repository_.Begin({kJob, lease_.fence, 40}, "hash", {{"a.safetensors", 9, "x"}}, rows).status(),
      repository_.Commit({kJob, lease_.fence, 30}, "hash").status(),
      repository_.KeepOnly({kJob, lease_.fence + 1, 0}, rows),
      guard_->Send(rows, 20, SentTo::kWorker, [](const v1::CheckpointChunk&) { return true; }),
      guard_->SendOpened(rows.back(), Drop),
      guard_->Verify(rows).status()};
  for (size_t i = 0; i < refused.size(); ++i) {
    EXPECT_EQ(refused[i].code(), absl::StatusCode::kResourceExhausted) << i << ": " << refused[i];
    EXPECT_THAT(std::string(refused[i].message()), ::testing::HasSubstr("checkpoints are away")) << i;
  }
  guard_->RemoveLeftovers(kJob);
  EXPECT_TRUE(guard_->RemoveDeleted().ok());
  EXPECT_TRUE(std::filesystem::exists(FolderOf(30)));
  EXPECT_EQ(Rows().size(), 2u);
  EXPECT_TRUE(guard_->Damaged(9).empty());
  Mount();
  EXPECT_TRUE(std::filesystem::exists(FolderOf(30) + ".part"));
  const auto found = guard_->Verify(Rows());
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 2u);
  for (const auto& [checkpoint, damage] : *found) EXPECT_EQ(damage, "") << checkpoint.step;
}

TEST_F(CheckpointGuardTest, ThePlaceOfTheCheckpointsIsAlsoNotThatOfAnotherCoordinators) {
  Upload(10);
  Unmount();
  ASSERT_TRUE(store::GiveFolderId(folder_ / "checkpoints").ok());
  EXPECT_EQ(guard_->SendOpened(Rows().front(), Drop).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Rows().size(), 1u);
  Mount();
  EXPECT_TRUE(guard_->SendOpened(Rows().front(), Drop).ok());
}

TEST_F(CheckpointGuardTest, APinnedCheckpointWhoseFolderIsGoneStaysWhateverElseIsThere) {
  for (const int64_t step : {10, 20}) Upload(step);
  ASSERT_TRUE(jobs_->checkpoints().Pin(kJob, 20, true).ok());
  std::filesystem::rename(FolderOf(20), folder_ / "gone");
  const absl::Status damaged = guard_->SendOpened(Rows().front(), Drop);
  EXPECT_EQ(damaged.code(), absl::StatusCode::kDataLoss) << damaged;
  EXPECT_THAT(std::string(damaged.message()), ::testing::HasSubstr("a person has pinned it"));
  ASSERT_EQ(Rows().size(), 2u);
  std::filesystem::rename(folder_ / "gone", FolderOf(20));
  EXPECT_TRUE(guard_->SendOpened(Rows().front(), Drop).ok());
  WriteAt0(20, 'W');
  EXPECT_EQ(guard_->SendOpened(Rows().front(), Drop).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Rows().size(), 1u) << "its bytes are not what they were";
}

TEST_F(CheckpointGuardTest, DamageOfACheckpointThatStaysIsLoggedOnceHoweverOftenItIsAskedFor) {
  Upload(10);
  std::filesystem::remove_all(FolderOf(10));
  std::ostringstream lines;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines, true)));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(guard_->SendOpened(Rows().front(), Drop).ok());
  spdlog::set_default_logger(before);
  const std::string text = lines.str(), told = "its folder is gone";
  ASSERT_NE(text.find(told), std::string::npos);
  EXPECT_EQ(text.find(told), text.rfind(told)) << text;
}

TEST_F(CheckpointGuardTest, ACheckpointThatTheDiskDoesNotGiveStaysAndWorkersAreSentTheOneBefore) {
  Upload(10);
  CommitUnreadable(20);
  int64_t sent = 0;
  const auto send = [&](const v1::CheckpointChunk& chunk) {
    if (chunk.has_checkpoint()) sent = chunk.checkpoint().step();
    return true;
  };
  const absl::Status doubt = guard_->Send(Rows(), 20, SentTo::kWorker, send);
  EXPECT_EQ(doubt.code(), absl::StatusCode::kDataLoss) << "for its worker, which asks for another then: " << doubt;
  EXPECT_THAT(std::string(doubt.message()), ::testing::HasSubstr("it stays"));
  EXPECT_TRUE(guard_->Send(Rows(), 0, SentTo::kWorker, send).ok());
  EXPECT_EQ(sent, 10);
  EXPECT_FALSE(guard_->Send(Rows(), 0, SentTo::kPeople, send).ok()) << "who asked for the newest";
  ASSERT_EQ(Rows().size(), 2u);
  EXPECT_NE(guard_->DamageOf(Rows().front()), "");
  EXPECT_EQ(guard_->Damaged(9).size(), 1u);
  const auto lines = jobs_->queries().ReadLogs(kJob, 0, 0, 100);
  ASSERT_TRUE(lines.ok()) << lines.status();
  EXPECT_EQ(std::count_if(lines->lines.begin(), lines->lines.end(),
                          [](const LogLine& line) { return absl::StrContains(line.text, "the disk does not give"); }),
            1);
  GiveToReader(20);
  EXPECT_TRUE(guard_->Send(Rows(), 20, SentTo::kWorker, send).ok());
  EXPECT_EQ(guard_->DamageOf(Rows().front()), "");
}

TEST_F(CheckpointGuardTest, WhatTheDiskDoesNotGiveInTwoScrubsIsDroppedWhereItGivesAnotherInTheLaterOne) {
  Upload(10);
  CommitUnreadable(20);
  EXPECT_FALSE(guard_->SendOpened(Rows().front(), Drop).ok());
  Scrub();
  EXPECT_EQ(Rows().size(), 2u) << "its minute may not be over";
  GiveToReader(20);
  Scrub();
  EXPECT_EQ(guard_->DamageOf(Rows().front()), "");
  TakeFromReader(20);
  Scrub();
  EXPECT_EQ(Rows().size(), 2u) << "it was read whole between";
  Scrub();
  ASSERT_EQ(Rows().size(), 1u);
  EXPECT_EQ(Rows().front().step, 10);
}

TEST_F(CheckpointGuardTest, ADiskThatGivesNothingCostsNoCheckpointHoweverLong) {
  CommitUnreadable(10);
  CommitUnreadable(20);
  for (int pass = 0; pass < 3; ++pass) Scrub();
  EXPECT_EQ(Rows().size(), 2u);
  EXPECT_EQ(guard_->Damaged(9).size(), 2u);
}

TEST_F(CheckpointGuardTest, WhatALostWorkerHadBegunToSendBeforeAStartMakesRoom) {
  const std::string part = FolderOf(10) + ".part";
  {
    CheckpointRepository before_start(folder_ / "checkpoints", /*reserve_bytes=*/0);
    ASSERT_TRUE(before_start.Begin({kJob, lease_.fence, 10}, "hash", {{"a.safetensors", 9, "x"}}, {}).ok());
  }
  ASSERT_TRUE(repository_.UploadingJobs().empty());
  EXPECT_EQ(repository_.JobsWithUploads(), std::set<std::string>{kJob});
  CheckpointGuard(&jobs_->checkpoints(), &jobs_->queries(), &repository_, &fail_stop_, [] { return kNow; }).MakeRoom();
  EXPECT_TRUE(std::filesystem::exists(part)) << "its worker has it yet, and goes on with it";
  RegisterRequest anew;
  anew.worker_id = anew.name = "w";
  anew.session = "b";
  anew.devices = 1;
  ASSERT_TRUE(jobs_->workers().Register(anew, kNow).ok());  // without the job, which is lost
  guard_->MakeRoom();
  EXPECT_FALSE(std::filesystem::exists(part));
  EXPECT_TRUE(repository_.JobsWithUploads().empty());
}

// As a coordinator took it that did not look into manifests.
TEST_F(CheckpointGuardTest, ACheckpointWhoseManifestCannotBeReadIsDroppedAndTheOneBeforeServesInItsPlace) {
  Upload(10);
  std::filesystem::create_directories(FolderOf(20));
  const std::string garbage = "garbage", hash = files::Hash(garbage);
  std::ofstream(FolderOf(20) + "/manifest.json") << garbage;
  const CheckpointCommit commit{20, hash, {{"manifest.json", garbage.size(), hash}}, 0};
  ASSERT_TRUE(jobs_->workers().CommitCheckpoint("w", lease_, commit, kNow).ok());
  const auto found = guard_->Verify(Rows());
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 2u);
  EXPECT_THAT((*found)[0].second, ::testing::HasSubstr("manifest.json is not a manifest"));
  EXPECT_EQ((*found)[1].second, "");
  int64_t sent = 0;
  const auto send = [&](const v1::CheckpointChunk& chunk) {
    if (chunk.has_checkpoint()) sent = chunk.checkpoint().step();
    return true;
  };
  EXPECT_TRUE(guard_->Send(Rows(), 0, SentTo::kWorker, send).ok()) << "what is known to be damaged is passed over";
  EXPECT_EQ(sent, 10);
  const absl::Status damaged = guard_->Send(Rows(), 20, SentTo::kWorker, send);
  EXPECT_EQ(damaged.code(), absl::StatusCode::kDataLoss) << damaged;
  EXPECT_THAT(std::string(damaged.message()), ::testing::HasSubstr("it was dropped"));
  EXPECT_EQ(Rows().size(), 1u);
}

}  // namespace
}  // namespace sink
