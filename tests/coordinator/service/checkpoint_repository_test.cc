// The folder of checkpoints by itself, without rows: what its methods do to each other, and to a disk that is small.
#include "coordinator/service/checkpoint_repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proto/files/hash.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

TEST(CheckpointFolders, AnUploadBeginsWhileWhatIsLeftOfItsJobGoes) {
  testing::TempDir dir;
  CheckpointRepository repository(dir / "checkpoints", /*reserve_bytes=*/0);
  const std::string job(32, 'a');
  std::atomic<bool> done = false;
  std::thread cleaner([&] {
    while (!done) EXPECT_TRUE(repository.KeepOnly({job, 7, 0}, {}).ok());  // its empty folder, at most
  });
  for (int i = 0; i < 100; ++i) {
    const auto begun = repository.Begin({job, 7, 10}, "hash", {{"model.safetensors", 1, files::Hash("x")}}, {});
    EXPECT_TRUE(begun.ok()) << i << ": " << begun.status();
    EXPECT_TRUE(repository.KeepOnly({job, 8, 0}, {}).ok());
    EXPECT_FALSE(repository.Has({job, 7, 10}));
  }
  done = true;
  cleaner.join();
}

TEST(CheckpointFolders, WhatCannotBeListedIsNamedAndWhatIsNotThereIsEmpty) {
  testing::TempDir dir;
  const std::string folder = dir / "checkpoints", job(32, 'a');
  CheckpointRepository repository(folder, /*reserve_bytes=*/0);
  EXPECT_TRUE(repository.Jobs().ok() && repository.Jobs()->empty());
  EXPECT_TRUE(repository.KeepOnly({job, 8, 0}, {}).ok());
  std::ofstream(folder) << "no folder";
  EXPECT_THAT(std::string(repository.Jobs().status().message()), ::testing::HasSubstr("cannot list " + folder + ": "));
  EXPECT_FALSE(repository.KeepOnly({job, 8, 0}, {}).ok());
  std::filesystem::remove(folder);
  std::filesystem::create_directories(folder + "/" + job);
  std::ofstream(folder + "/" + job + "/7") << "no folder";
  EXPECT_EQ(*repository.Jobs(), std::vector<std::string>{job});
  EXPECT_THAT(std::string(repository.KeepOnly({job, 8, 0}, {}).message()), ::testing::HasSubstr(job + "/7: "));
}

// Files are announced, not sent: what a job may have is decided where an upload begins.
TEST(CheckpointShare, AJobHasNoMoreThanItsShareAndOthersHaveTheirs) {
  testing::TempDir dir;
  constexpr uint64_t kMb = 1'000'000;
  CheckpointRepository repository(dir / "checkpoints", /*reserve_bytes=*/0, /*bytes_per_job=*/10 * kMb);
  const std::string job(32, 'a');
  std::vector<Checkpoint> rows;  // of the job
  const auto begin = [&](const std::string& of, int64_t step, uint64_t mb) {
    return repository.Begin({of, 7, step}, "hash", {{"model.safetensors", mb * kMb, files::Hash("x")}}, rows).status();
  };
  const absl::Status refused = begin(job, 10, 11);
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(refused.message(),
            "too much for one job: the checkpoint needs 11 MB beside 0 MB of the job's others, and a job may have 10 "
            "MB (sink-coordinator --checkpoint-bytes-per-job)");
  EXPECT_FALSE(repository.HasFolderOf(job)) << "nothing is left of what was refused";
  EXPECT_TRUE(begin(job, 10, 10).ok()) << "exactly its share";
  EXPECT_TRUE(absl::IsResourceExhausted(begin(job, 20, 1))) << "step 10 is on its way";
  EXPECT_TRUE(begin(job, 10, 4).ok()) << "in the place of the one before";
  EXPECT_TRUE(begin(job, 20, 6).ok());
  repository.RemoveOthers({job, 7, 20}, rows);
  EXPECT_TRUE(begin(job, 20, 10).ok()) << "step 10 was given up";
  rows = {
      {.job_id = job, .step = 5, .fence = 6, .manifest_hash = "hash", .files = {{"model.safetensors", 8 * kMb, ""}}}};
  EXPECT_TRUE(absl::IsResourceExhausted(begin(job, 20, 3))) << "an earlier attempt's counts";
  EXPECT_TRUE(begin(job, 20, 2).ok());
  EXPECT_TRUE(begin(job, 5, 8).ok()) << "takes the place of the other attempt's";
  rows.clear();
  EXPECT_TRUE(begin(std::string(32, 'b'), 10, 10).ok());
}

// On a disk of 16 MiB, of which 4 are the database's.
class SmallDiskTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kMiB = 1 << 20, kReserve = 4 * kMiB, kChunk = 256 << 10;

  void SetUp() override {
    std::filesystem::create_directories(disk_);
    mounted_ = mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=16m") == 0;
    if (!mounted_) GTEST_SKIP() << "mounting a small disk needs root";
    repository_ = std::make_unique<CheckpointRepository>(disk_ + "/checkpoints", kReserve);
  }
  void TearDown() override {
    if (mounted_) umount(disk_.c_str());
  }

  // The first checkpoint of a job whose id is made of this digit.
  static CheckpointKey Of(char job, int64_t step = 10) { return {std::string(32, job), 7, step}; }
  // How much of it is here.
  absl::StatusOr<uint64_t> Begin(const CheckpointKey& key, uint64_t mib) {
    const std::string bytes(mib * kMiB, 'w');
    const auto here = repository_->Begin(key, "hash", {{"model.safetensors", bytes.size(), files::Hash(bytes)}}, {});
    if (!here.ok()) return here.status();
    return here->front();
  }
  // From there on, until all is here or the first refusal.
  absl::Status Send(const CheckpointKey& key, uint64_t from, uint64_t mib) {
    for (; from < mib * kMiB; from += kChunk) {
      const absl::Status written = repository_->Write(key, "model.safetensors", from, std::string(kChunk, 'w'));
      if (!written.ok()) return written;
    }
    return absl::OkStatus();
  }
  absl::Status Commit(const CheckpointKey& key) { return repository_->Commit(key, "hash").status(); }
  void Fill(uint64_t mib) { std::ofstream(disk_ + "/ballast") << std::string(mib * kMiB, 'x'); }
  void Empty() { std::filesystem::remove(disk_ + "/ballast"); }
  uint64_t Free() const { return std::filesystem::space(disk_).available; }

  testing::TempDir dir_;
  const std::string disk_ = dir_ / "disk";
  bool mounted_ = false;
  std::unique_ptr<CheckpointRepository> repository_;
};

TEST_F(SmallDiskTest, AnUploadThatDoesNotFitBesideThoseBeforeItWaitsAndTheyComplete) {
  const CheckpointKey first = Of('a'), second = Of('b');
  ASSERT_TRUE(Begin(first, 8).ok());
  const auto refused = Begin(second, 8);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_EQ(refused.status().message(),
            "disk full: the checkpoint needs 8 MiB beside 4 MiB that stay free for the database, and 15 MiB are free "
            "on the coordinator, of which other checkpoints on their way take 8 MiB");
  EXPECT_TRUE(Send(first, 0, 8).ok());
  EXPECT_TRUE(Commit(first).ok());
  EXPECT_GE(Free(), kReserve);
  EXPECT_TRUE(absl::IsResourceExhausted(Begin(second, 8).status())) << "its bytes are there now";
  ASSERT_TRUE(repository_->KeepOnly({first.job_id, first.fence + 1, 0}, {}).ok());
  ASSERT_TRUE(Begin(second, 8).ok());
  EXPECT_TRUE(Send(second, 0, 8).ok());
  EXPECT_TRUE(Commit(second).ok());
}

TEST_F(SmallDiskTest, WhatAnUploadHadStillToSendIsFreeWhenItIsRemoved) {
  ASSERT_TRUE(Begin(Of('a'), 8).ok());
  EXPECT_THAT(repository_->UploadingJobs(), ::testing::ElementsAre(std::string(32, 'a')));
  ASSERT_FALSE(Begin(Of('b'), 8).ok());
  ASSERT_TRUE(repository_->KeepOnly({Of('a').job_id, 8, 0}, {}).ok());
  EXPECT_TRUE(repository_->UploadingJobs().empty());
  EXPECT_TRUE(Begin(Of('b'), 8).ok());
  EXPECT_TRUE(Begin(Of('b', 20), 8).ok()) << "an attempt sends one after the other";
}

TEST_F(SmallDiskTest, WhatAnAttemptHasGivenUpCanMakeRoomForItsNextUpload) {
  ASSERT_TRUE(Begin(Of('a'), 8).ok());
  ASSERT_TRUE(Send(Of('a'), 0, 8).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Begin(Of('a', 20), 8).status()));
  repository_->RemoveOthers(Of('a', 20), {});
  EXPECT_TRUE(Begin(Of('a', 20), 8).ok());
  EXPECT_FALSE(repository_->Has(Of('a')));
}

TEST_F(SmallDiskTest, AnUploadStopsAtTheReserveWhateverElseFillsTheDiskAndGoesOnFromThere) {
  const CheckpointKey key = Of('a');
  ASSERT_TRUE(Begin(key, 8).ok());
  Fill(6);
  const absl::Status stopped = Send(key, 0, 8);
  EXPECT_TRUE(absl::IsResourceExhausted(stopped)) << stopped;
  EXPECT_GE(Free(), kReserve);
  EXPECT_LT(Free(), kReserve + kChunk) << "it stopped too early";
  EXPECT_TRUE(absl::IsResourceExhausted(Begin(key, 8).status()));
  Empty();
  const auto here = Begin(key, 8);
  ASSERT_TRUE(here.ok()) << here.status();
  EXPECT_GT(*here, 5 * kMiB);
  EXPECT_TRUE(Send(key, *here, 8).ok());
  EXPECT_TRUE(Commit(key).ok());
}

TEST_F(SmallDiskTest, WhereOthersHaveTakenTheRoomTheUploadThatWasBegunFirstGoesOnFirst) {
  const CheckpointKey first = Of('b'), second = Of('a');
  ASSERT_TRUE(Begin(first, 8).ok());
  ASSERT_TRUE(Begin(second, 3).ok());
  Fill(3);
  EXPECT_TRUE(absl::IsResourceExhausted(Begin(second, 3).status()));
  EXPECT_TRUE(Begin(first, 8).ok());
  EXPECT_TRUE(Send(first, 0, 8).ok());
  EXPECT_TRUE(Commit(first).ok());
}

TEST_F(SmallDiskTest, AnUploadOfWhichNothingIsMissingNeedsNoRoom) {
  const CheckpointKey key = Of('a');
  ASSERT_TRUE(Begin(key, 8).ok());
  ASSERT_TRUE(Send(key, 0, 8).ok());
  Fill(6);
  ASSERT_LT(Free(), kReserve);
  EXPECT_EQ(Begin(key, 8).value(), 8 * kMiB);
  EXPECT_TRUE(Commit(key).ok());
}

}  // namespace
}  // namespace sink
