// Checkpoints on disk: all or nothing when written, verified to the last bit before use, never the last one deleted.
#include "model/train/run/saved_checkpoints.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <fstream>
#include <set>

#include "model/train/link/train_error.h"
#include "model/train/run/folder_lock.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_files.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;
using testing::HashOf;
using testing::ReadFile;
using testing::WriteFile;

class SavedCheckpointsTest : public ::testing::Test {
 protected:
  CheckpointRef Save(int64_t step) {
    return SavedCheckpoints(root_).Save(step, [&](const fs::path& folder) {
      WriteFile(folder / "a.bin", "weights of step " + std::to_string(step));
      WriteFile(folder / "b.json", "{}");
    });
  }

  std::optional<CheckpointRef> FindNewest() {
    warnings_.clear();
    return SavedCheckpoints(root_).FindNewest([&](const std::string& warning) { warnings_.push_back(warning); });
  }

  std::set<std::string> Entries() {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(root_)) names.insert(entry.path().filename().string());
    return names;
  }

  testing::TempDir dir_;
  fs::path root_ = dir_.path() / "checkpoints";
  std::vector<std::string> warnings_;
};

TEST_F(SavedCheckpointsTest, SavedCheckpointIsFoundWithItsHash) {
  EXPECT_FALSE(FindNewest().has_value());
  Save(5);
  const CheckpointRef saved = Save(10);
  EXPECT_EQ(saved.path.filename(), "step-000000010");
  const auto found = FindNewest();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->step, 10);
  EXPECT_EQ(found->manifest_hash, saved.manifest_hash);
  EXPECT_EQ(found->manifest_hash, HashOf(saved.path / "manifest.json"));
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(SavedCheckpointsTest, AnyFlippedByteIsFoundAndThePreviousOneUsed) {
  Save(1);
  const fs::path newest = Save(2).path;
  int flips = 0;
  for (const char* name : {"a.bin", "b.json", "manifest.json"}) {
    const std::string good = ReadFile(newest / name);
    for (size_t i = 0; i < good.size(); ++i, ++flips) {
      // White space of the manifest carries nothing; every other byte counts.
      if (std::isspace(static_cast<unsigned char>(good[i]))) continue;
      std::string bad = good;
      bad[i] ^= 0x10;
      WriteFile(newest / name, bad);
      const auto found = FindNewest();
      ASSERT_TRUE(found.has_value());
      ASSERT_EQ(found->step, 1) << name << " byte " << i;
      ASSERT_EQ(warnings_.size(), 1u);
      fs::rename(root_ / "step-000000002.corrupt-1", newest);
    }
    WriteFile(newest / name, good);
  }
  EXPECT_GT(flips, 100);
  EXPECT_EQ(FindNewest()->step, 2);
}

TEST_F(SavedCheckpointsTest, TruncatedAndMissingFilesAreNamed) {
  Save(1);
  fs::resize_file(Save(2).path / "a.bin", 3);
  EXPECT_EQ(FindNewest()->step, 1);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("a.bin has 3 bytes instead of 17"), std::string::npos) << warnings_[0];
  EXPECT_TRUE(fs::exists(root_ / "step-000000002.corrupt-1"));

  fs::remove(Save(2).path / "manifest.json");
  EXPECT_EQ(FindNewest()->step, 1);
  EXPECT_TRUE(fs::exists(root_ / "step-000000002.corrupt-2"));
}

TEST_F(SavedCheckpointsTest, ManifestCannotPointOutside) {
  const fs::path path = Save(3).path;
  WriteFile(path / "manifest.json", R"({"step":3,"files":[{"name":"../../x","size":0,"xxh3":"0"}]})");
  EXPECT_FALSE(FindNewest().has_value());
  EXPECT_NE(warnings_.at(0).find("outside"), std::string::npos);
}

// A read that fails says nothing of the bytes: the memory of a process begins with a page that nothing can read.
TEST_F(SavedCheckpointsTest, WhatCannotBeReadIsNotDamage) {
  Save(1);
  const fs::path manifest = Save(2).path / "manifest.json", aside = dir_.path() / "manifest.json";
  fs::rename(manifest, aside);
  fs::create_symlink("/proc/self/mem", manifest);
  std::string message;
  try {
    FindNewest();
  } catch (const InfraError& e) {
    message = e.what();
  }
  EXPECT_EQ(message.rfind("checkpoint of step 2 could not be read: ", 0), 0u) << message;
  EXPECT_NE(message.find("Input/output error"), std::string::npos) << message;
  EXPECT_EQ(Entries(), (std::set<std::string>{"step-000000001", "step-000000002"}));
  fs::remove(manifest);
  fs::rename(aside, manifest);
  EXPECT_EQ(FindNewest()->step, 2);
}

TEST_F(SavedCheckpointsTest, AWarningNamesThePreviousOneOnlyWhereThereIsOne) {
  for (const int64_t step : {1, 2}) fs::remove(Save(step).path / "a.bin");
  EXPECT_FALSE(FindNewest().has_value());
  ASSERT_EQ(warnings_.size(), 2u);
  EXPECT_TRUE(warnings_[0].ends_with(", the one before it is used")) << warnings_[0];
  EXPECT_TRUE(warnings_[1].ends_with(", and there is none before it")) << warnings_[1];
}

TEST_F(SavedCheckpointsTest, FailedSaveLeavesNoTrace) {
  Save(1);
  EXPECT_THROW(SavedCheckpoints(root_).Save(2,
                                            [](const fs::path& folder) {
                                              WriteFile(folder / "a.bin", "half");
                                              throw std::runtime_error("no more");
                                            }),
               InfraError);
  EXPECT_EQ(Entries(), std::set<std::string>{"step-000000001"});
  EXPECT_EQ(FindNewest()->step, 1);
}

TEST_F(SavedCheckpointsTest, DiskThatTakesNoMoreBytesIsAnInfraErrorAndLeavesThePreviousOne) {
  Save(1);
  rlimit old_limit;
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit small = {4096, old_limit.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  try {
    SavedCheckpoints(root_).Save(2,
                                 [](const fs::path& folder) { WriteFile(folder / "a.bin", std::string(8192, 'x')); });
  } catch (const InfraError& e) {
    message = e.what();
  }
  setrlimit(RLIMIT_FSIZE, &old_limit);
  signal(SIGXFSZ, SIG_DFL);
  EXPECT_NE(message.find("a.bin"), std::string::npos) << message;
  EXPECT_EQ(Entries(), std::set<std::string>{"step-000000001"});
  EXPECT_EQ(FindNewest()->step, 1);
}

TEST_F(SavedCheckpointsTest, LeftoversOfAKilledWriterAreRemoved) {
  Save(1);
  fs::create_directories(root_ / "step-000000002.tmp-4242");
  WriteFile(root_ / "step-000000002.tmp-4242" / "a.bin", "torn");
  EXPECT_EQ(FindNewest()->step, 1);
  EXPECT_EQ(Entries(), std::set<std::string>{"step-000000001"});
}

TEST_F(SavedCheckpointsTest, PruneKeepsTheNewestAndNeverFewerThanTwo) {
  for (int step = 1; step <= 5; ++step) Save(step);
  SavedCheckpoints(root_).Prune(3);
  EXPECT_EQ(Entries(), (std::set<std::string>{"step-000000003", "step-000000004", "step-000000005"}));
  SavedCheckpoints(root_).Prune(1);
  EXPECT_EQ(Entries(), (std::set<std::string>{"step-000000004", "step-000000005"}));
}

TEST_F(SavedCheckpointsTest, SecondTrainerOfARunFolderIsRefused) {
  const FolderLock first(dir_.path(), 0);
  EXPECT_THROW(FolderLock(dir_.path(), 100), InfraError);
}

}  // namespace
}  // namespace sink::train
