// Which folder of checkpoints is the one that a database speaks of: new, moved, replaced and not mounted.
#include "coordinator/store/checkpoint_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "coordinator/job/status_macros.h"
#include "coordinator/store/memory_store.h"
#include "tests/testing/temp_dir.h"

namespace sink::store {
namespace {

namespace fs = std::filesystem;

class CheckpointFolderTest : public ::testing::Test {
 protected:
  int64_t Known() {
    const auto id = KnownFolderId(&store_, checkpoints_);
    EXPECT_TRUE(id.ok()) << id.status();
    return id.value_or(-1);
  }
  int64_t Read() const {
    const auto id = ReadFolderId(checkpoints_);
    EXPECT_TRUE(id.ok()) << id.status();
    return id.value_or(-1);
  }
  // The database names a checkpoint.
  void AddRow() {
    const absl::Status stored = store_.Write([this](Transaction& rows) -> absl::Status {
      Sweep sweep;
      sweep.name = "s";
      Job job;
      job.id = kJob;
      job.home_sweep = "s";
      SINK_RETURN_IF_ERROR(rows.PutSweep(sweep));
      SINK_RETURN_IF_ERROR(rows.InsertJob(job, "{}"));
      return rows.PutCheckpoint({kJob, 10, 1, 9, "hash", {{"a.bin", 5, "x"}}, 1});
    });
    ASSERT_TRUE(stored.ok()) << stored;
  }

  const std::string kJob = std::string(32, 'a');
  testing::TempDir folder_;
  const std::string checkpoints_ = folder_ / "data/checkpoints";
  MemoryStore store_;
};

TEST_F(CheckpointFolderTest, AFolderIsGivenANumberOnceAndKeepsIt) {
  EXPECT_EQ(Read(), 0);
  const auto given = GiveFolderId(checkpoints_);
  ASSERT_TRUE(given.ok()) << given.status();
  EXPECT_GT(*given, 0);
  EXPECT_EQ(Read(), *given);
  EXPECT_EQ(GiveFolderId(checkpoints_).value_or(0), *given);
  struct stat info {};
  ASSERT_EQ(stat((checkpoints_ + "/folder-id").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_NE(GiveFolderId(folder_ / "another").value_or(0), *given);
}

TEST_F(CheckpointFolderTest, WhatIsNoNumberIsNone) {
  fs::create_directories(checkpoints_);
  for (const std::string& text : {std::string(), std::string("-5\n"), std::string("x"), std::string(1000, '1')}) {
    std::ofstream(checkpoints_ + "/folder-id", std::ios::trunc) << text;
    EXPECT_EQ(Read(), 0) << text;
  }
  EXPECT_GT(GiveFolderId(checkpoints_).value_or(0), 0);
}

TEST_F(CheckpointFolderTest, ADatabaseThatKnowsNoFolderKnowsItsOwnFromThenOn) {
  AddRow();  // as one of a coordinator of before there were numbers
  fs::create_directories(checkpoints_ + "/" + kJob);
  const int64_t known = Known();
  EXPECT_GT(known, 0);
  EXPECT_EQ(Read(), known);
  EXPECT_EQ(Known(), known);
}

TEST_F(CheckpointFolderTest, AnEmptyFolderIsNotThatOfADatabaseWhichNamesCheckpointsAndKnowsNoFolder) {
  AddRow();
  for (const bool mount_point : {false, true}) {
    if (mount_point) fs::create_directories(checkpoints_);
    EXPECT_GT(Known(), 0);
    EXPECT_EQ(Read(), 0) << "the disk of before there were numbers may not be mounted";
  }
}

TEST_F(CheckpointFolderTest, WhereCheckpointsCouldBeLostNoOtherFolderTakesThePlaceOfTheirs) {
  const int64_t known = Known();
  AddRow();
  fs::rename(checkpoints_, folder_ / "unmounted");
  fs::create_directories(checkpoints_);
  EXPECT_EQ(Known(), known);
  EXPECT_EQ(Read(), 0) << "a number would make it theirs";
  fs::remove(checkpoints_);
  fs::copy(folder_ / "unmounted", checkpoints_, fs::copy_options::recursive);  // to another disk
  EXPECT_EQ(Known(), known);
  EXPECT_EQ(Read(), known);
}

TEST_F(CheckpointFolderTest, WhereNoCheckpointCouldBeLostAnotherFolderIsTaken) {
  const int64_t first = Known();
  fs::remove_all(checkpoints_);
  const int64_t second = Known();
  EXPECT_NE(second, first);
  EXPECT_EQ(Read(), second);
  AddRow();
  EXPECT_EQ(Known(), second);
}

}  // namespace
}  // namespace sink::store
