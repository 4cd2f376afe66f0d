// A folder appears complete or not at all, and never takes the place of somebody's work.
#include "proto/files/staged_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "proto/files/files.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_files.h"

namespace sink::files {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class StagedFolderTest : public ::testing::Test {
 protected:
  size_t Entries() const { return testing::EntriesIn(dir_.path()); }

  testing::TempDir dir_;
  const std::string target_ = dir_ / "out";
};

TEST_F(StagedFolderTest, AppearsOnCommitAndGoesAwayWithoutIt) {
  {
    FileResult<StagedFolder> folder = StagedFolder::Create(target_);
    ASSERT_TRUE(folder.ok()) << folder.error().message();
    ASSERT_FALSE(WriteFile(folder->path() + "/a", "x", /*sync=*/true));
    EXPECT_FALSE(fs::exists(target_));
  }
  EXPECT_EQ(Entries(), 0u);
  {
    FileResult<StagedFolder> folder = StagedFolder::Create(dir_ / "deep/er/out/");
    ASSERT_TRUE(folder.ok()) << folder.error().message();
    StagedFolder moved = *std::move(folder);
    fs::create_directory(moved.path() + "/sub");
    ASSERT_FALSE(moved.Commit());
  }
  EXPECT_TRUE(fs::is_directory(dir_ / "deep/er/out/sub"));
  EXPECT_EQ(Entries(), 1u);
}

TEST_F(StagedFolderTest, ObeysTheUmask) {
  const mode_t old = umask(027);
  FileResult<StagedFolder> folder = StagedFolder::Create(target_);
  umask(old);
  ASSERT_TRUE(folder.ok());
  ASSERT_FALSE(folder->Commit());
  struct stat info = {};
  ASSERT_EQ(stat(target_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0750u);
}

TEST_F(StagedFolderTest, TakesThePlaceOfAnEmptyFolderOnly) {
  fs::create_directory(target_);
  {
    FileResult<StagedFolder> folder = StagedFolder::Create(target_);
    ASSERT_TRUE(folder.ok());
    std::ofstream(target_ + "/thesis") << "precious";
    EXPECT_TRUE(folder->Commit());  // somebody was quicker
  }
  EXPECT_EQ(fs::file_size(target_ + "/thesis"), 8u);
  const FileResult<StagedFolder> again = StagedFolder::Create(target_);
  EXPECT_EQ(again.error().code(), EEXIST);
  EXPECT_EQ(again.error().message(), target_ + " exists already; name a new folder");
  EXPECT_EQ(StagedFolder::Resume(target_).error().code(), EEXIST);
  EXPECT_EQ(StagedFolder::Create("/dev/null").error().code(), EEXIST);
  EXPECT_EQ(Entries(), 1u);
}

TEST_F(StagedFolderTest, SymbolicLinkStays) {
  fs::create_directory(dir_ / "there");
  fs::create_symlink("there", target_);
  FileResult<StagedFolder> folder = StagedFolder::Create(target_);
  ASSERT_TRUE(folder.ok()) << folder.error().message();
  std::ofstream(folder->path() + "/a") << "x";
  const FileError error = folder->Commit();
  EXPECT_FALSE(error) << error.message();
  EXPECT_TRUE(fs::is_symlink(target_));
  EXPECT_TRUE(fs::exists(dir_ / "there/a"));
}

TEST_F(StagedFolderTest, StandardOutputIsNoFolder) {
  EXPECT_EQ(StagedFolder::Create("-").error().code(), EINVAL);
  EXPECT_EQ(StagedFolder::Resume("-").error().code(), EINVAL);
}

TEST_F(StagedFolderTest, UnfinishedWorkServesTheNextRunAndOneAtATime) {
  {
    FileResult<StagedFolder> folder = StagedFolder::Resume(target_);
    ASSERT_TRUE(folder.ok()) << folder.error().message();
    std::ofstream(folder->path() + "/half") << "x";
    const FileResult<StagedFolder> second = StagedFolder::Resume(target_);
    EXPECT_EQ(second.error().code(), EBUSY);
    EXPECT_THAT(second.error().message(), HasSubstr("another process is writing it"));
    folder->KeepUnfinished();
  }
  {
    FileResult<StagedFolder> folder = StagedFolder::Resume(target_);
    ASSERT_TRUE(folder.ok());
    EXPECT_TRUE(fs::exists(folder->path() + "/half"));
    ASSERT_FALSE(folder->Clear());
    EXPECT_TRUE(fs::is_empty(folder->path()));
  }
  EXPECT_EQ(Entries(), 0u);
}

}  // namespace
}  // namespace sink::files
