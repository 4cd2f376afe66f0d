// Files are compared with their hashes, each read once, and what was read is known after a restart.
#include "worker/content_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/files/hash.h"
#include "proto/run/set_hashes.h"
#include "tests/testing/temp_dir.h"

namespace sink::worker {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

constexpr absl::Duration kNow = absl::Hours(1);

class ContentCheckTest : public ::testing::Test {
 protected:
  ContentCheckTest() {
    Write("a.bin", "first");
    Write("b.bin", "second");
    Write(run::kSetHashesFile,
          run::PrintSetHashes({{"a.bin", files::Hash("first")}, {"b.bin", files::Hash("second")}}));
  }
  void Write(const std::string& name, const std::string& bytes) {
    fs::create_directories(dir_ / "set");
    std::ofstream(dir_.path() / "set" / name, std::ios::binary) << bytes;
  }
  // What is said when nothing is left to read.
  ContentCheck::State Settle(ContentCheck& check) {
    ContentCheck::State state = check.Look(dir_ / "set", kNow);
    for (int i = 0; i < 2000 && state.unread > 0; ++i) {
      absl::SleepFor(absl::Milliseconds(5));
      state = check.Look(dir_ / "set", kNow);
    }
    EXPECT_EQ(state.unread, 0u);
    return state;
  }

  testing::TempDir dir_;
  const std::string memory_ = dir_ / "memory";
};

TEST_F(ContentCheckTest, FilesAreReadAndThenKnown) {
  ContentCheck check(memory_);
  EXPECT_EQ(check.Look(dir_ / "set", kNow).unread, 2u);
  EXPECT_EQ(Settle(check).wrong, "");
}

TEST_F(ContentCheckTest, AFileWithOtherBytesIsNamed) {
  Write("b.bin", "sEcond");
  ContentCheck check(memory_);
  EXPECT_THAT(Settle(check).wrong, HasSubstr("set/b.bin has the right size and other bytes"));
}

TEST_F(ContentCheckTest, WhereNothingIsToBeReadNothingIsWrong) {
  Write("b.bin", "other");
  ContentCheck check(memory_, /*rate=*/0);
  const ContentCheck::State state = check.Look(dir_ / "set", kNow);
  EXPECT_EQ(state.unread, 0u);
  EXPECT_EQ(state.wrong, "");
  EXPECT_FALSE(check.Reads(dir_ / "set"));
}

TEST_F(ContentCheckTest, NoMoreIsReadASecondThanIsAllowed) {
  const std::string bytes(3 << 20, 'x');
  Write("b.bin", bytes);
  Write(run::kSetHashesFile, run::PrintSetHashes({{"b.bin", files::Hash(bytes)}}));
  ContentCheck check(memory_, /*rate=*/10'000'000);
  const absl::Time begin = absl::Now();
  EXPECT_EQ(Settle(check).wrong, "");
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(300));
}

TEST_F(ContentCheckTest, AFileThatIsNotThereIsNamedUntilItIs) {
  fs::remove(dir_ / "set/b.bin");
  ContentCheck check(memory_);
  EXPECT_THAT(Settle(check).wrong, HasSubstr("set/b.bin"));
  Write("b.bin", "second");
  EXPECT_EQ(Settle(check).wrong, "");
}

TEST_F(ContentCheckTest, ASetWithoutHashesHasNothingToReadAndNothingWrong) {
  fs::remove(dir_.path() / "set" / run::kSetHashesFile);
  ContentCheck check(memory_);
  const ContentCheck::State state = check.Look(dir_ / "set", kNow);
  EXPECT_EQ(state.unread, 0u);
  EXPECT_EQ(state.wrong, "");
}

TEST_F(ContentCheckTest, AListOfHashesThatWasCutIsNamed) {
  Write(run::kSetHashesFile, "0123");
  ContentCheck check(memory_);
  EXPECT_THAT(check.Look(dir_ / "set", kNow).wrong, HasSubstr("set/files.xxh128: line 1"));
}

TEST_F(ContentCheckTest, TheNextStartReadsOnlyWhatHasChanged) {
  Write("b.bin", "sEcond");
  const std::string wrong = [&] {
    ContentCheck check(memory_);
    return Settle(check).wrong;
  }();
  {
    ContentCheck check(memory_);
    const ContentCheck::State state = check.Look(dir_ / "set", kNow);
    EXPECT_EQ(state.unread, 0u);
    EXPECT_EQ(state.wrong, wrong) << "what was wrong is remembered, too";
  }
  fs::last_write_time(dir_ / "set/a.bin", fs::last_write_time(dir_ / "set/a.bin") + std::chrono::seconds(1));
  ContentCheck check(memory_);
  EXPECT_EQ(check.Look(dir_ / "set", kNow).unread, 1u);
}

TEST_F(ContentCheckTest, AFileThatTakesThePlaceOfAnotherWithItsTimeIsReadAnew) {
  Write("b.bin", "sEcond");
  const fs::path bad = dir_ / "set/b.bin";
  ContentCheck check(memory_);
  ASSERT_NE(Settle(check).wrong, "");
  const fs::file_time_type time = fs::last_write_time(bad);
  fs::remove(bad);
  Write("b.bin", "second");
  fs::last_write_time(bad, time);
  EXPECT_EQ(Settle(check).wrong, "");
}

TEST_F(ContentCheckTest, WhatStaysWrongIsReadAgainAfterTenMinutes) {
  Write("b.bin", "sEcond");
  ContentCheck check(memory_);
  ASSERT_NE(Settle(check).wrong, "");
  check.Look(dir_ / "set", kNow + absl::Minutes(9));
  EXPECT_FALSE(check.Reads(dir_ / "set"));
  const ContentCheck::State state = check.Look(dir_ / "set", kNow + absl::Minutes(10));
  EXPECT_NE(state.wrong, "") << "until it is found to be right";
}

TEST_F(ContentCheckTest, SaysWhetherFilesOfASetAreStillRead) {
  ContentCheck check(memory_);
  EXPECT_FALSE(check.Reads(dir_ / "set"));
  fs::create_directories(dir_ / "large");
  std::ofstream(dir_.path() / "large" / run::kSetHashesFile) << run::PrintSetHashes({{"a.bin", files::Hash("")}});
  std::ofstream(dir_.path() / "large" / "a.bin") << "";
  fs::resize_file(dir_ / "large/a.bin", 1 << 30);  // takes seconds
  check.Look(dir_ / "large", kNow);
  EXPECT_TRUE(check.Reads(dir_ / "large"));
  EXPECT_FALSE(check.Reads(dir_ / "larg"));
  EXPECT_FALSE(check.Reads(dir_ / "set"));
}

TEST_F(ContentCheckTest, AMemoryThatIsDamagedCostsReadingAgainAndNothingElse) {
  std::ofstream(memory_) << "half a li";
  {
    ContentCheck check(memory_);
    EXPECT_EQ(check.Look(dir_ / "set", kNow).unread, 2u);
    EXPECT_EQ(Settle(check).wrong, "");
  }
  fs::remove(memory_);
  fs::create_directory(memory_);
  ContentCheck check(memory_);
  EXPECT_EQ(Settle(check).wrong, "");
}

TEST_F(ContentCheckTest, APipeOrAFolderInTheMemorysPlaceIsNotWaitedForAndFilesAreReadAllTheSame) {
  ASSERT_EQ(mkfifo(memory_.c_str(), 0600), 0);
  {
    ContentCheck check(memory_);
    EXPECT_EQ(Settle(check).wrong, "");
  }
  fs::remove(memory_);
  fs::create_directory(memory_);
  ContentCheck check(memory_);
  EXPECT_EQ(Settle(check).wrong, "");
}

}  // namespace
}  // namespace sink::worker
