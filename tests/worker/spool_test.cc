// The spool keeps every event until it is acknowledged: over restarts, torn writes, damage and a full budget.
#include "worker/spool.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/testing/full_disk.h"
#include "tests/testing/temp_dir.h"

namespace {

// A disk that is busy: while this lives, whoever syncs waits until GoOn(). One at a time, and one that syncs.
class BusyDisk {
 public:
  BusyDisk() { current = this; }
  ~BusyDisk() { current = nullptr; }
  void Sync() {
    if (!waits_.HasBeenNotified()) waits_.Notify();
    goes_on_.WaitForNotification();
  }
  void AwaitSync() { waits_.WaitForNotification(); }
  void GoOn() { goes_on_.Notify(); }

  static inline std::atomic<BusyDisk*> current = nullptr;

 private:
  absl::Notification waits_, goes_on_;
};

}  // namespace

// In place of the C library's, for this program.
extern "C" int fsync(int fd) {
  if (BusyDisk* disk = BusyDisk::current) disk->Sync();
  return static_cast<int>(syscall(SYS_fsync, fd));
}

namespace sink::worker {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Spool> OpenSpool(const std::string& folder, Spool::Options options = Spool::Options()) {
  auto spool = Spool::Open(folder, options);
  EXPECT_TRUE(spool.ok()) << spool.status();
  return *std::move(spool);
}

std::vector<std::string> Lines(Spool& spool, uint64_t first = 1) {
  std::vector<std::string> lines;
  for (const SpoolRecord& record : spool.Read(first, 100000, 1 << 20)) lines.push_back(record.line);
  return lines;
}

fs::path OnlySegment(const std::string& folder) { return fs::directory_iterator(folder)->path(); }

TEST(Spool, NumbersEventsFromOneAndReadsThemBack) {
  testing::TempDir dir;
  auto spool = OpenSpool(dir / "spool");
  EXPECT_EQ(spool->Append("one", 11), 1u);
  EXPECT_EQ(spool->Append("two", 12), 2u);
  const auto records = spool->Read(1, 10, 1000);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].seq, 2u);
  EXPECT_EQ(records[1].time_ms, 12);
  EXPECT_EQ(records[1].line, "two");
}

TEST(Spool, ReadKeepsToItsLimitsAndGoesOnWhereItStopped) {
  testing::TempDir dir;
  auto spool = OpenSpool(dir / "spool", {.max_bytes = 1 << 20, .segment_bytes = 200});
  for (int i = 1; i <= 50; ++i) spool->Append(absl::StrCat("event ", i), 0);
  EXPECT_EQ(spool->Read(1, 7, 1000).size(), 7u);
  EXPECT_EQ(spool->Read(8, 100, 20).size(), 2u);  // "event 8" and "event 9" are 14 bytes
  EXPECT_EQ(spool->Read(1, 1, 1).size(), 1u);     // one record always fits
  const auto rest = Lines(*spool, 10);
  ASSERT_EQ(rest.size(), 41u);
  EXPECT_EQ(rest.front(), "event 10");
  EXPECT_EQ(rest.back(), "event 50");
}

TEST(Spool, WhoWaitsForARecordIsReleasedWhenNoneIsToCome) {
  testing::TempDir dir;
  auto spool = OpenSpool(dir / "spool");
  spool->Append("one", 0);
  bool came = true;
  std::thread waits([&] { came = spool->WaitForRecordAfter(1, absl::InfiniteDuration()); });
  spool->Release();
  waits.join();
  EXPECT_FALSE(came);
  EXPECT_TRUE(spool->WaitForRecordAfter(0, absl::InfiniteDuration()));  // what is there is told as ever
  EXPECT_FALSE(spool->WaitForRecordAfter(1, absl::InfiniteDuration()));
}

TEST(Spool, TellsWhenNoMoreEventsAreToCome) {
  testing::TempDir dir;
  auto spool = OpenSpool(dir / "spool");
  spool->Append("one", 0);
  EXPECT_FALSE(spool->WaitUntilSealed(absl::ZeroDuration()));
  bool sealed = false;
  std::thread waits([&] { sealed = spool->WaitUntilSealed(absl::InfiniteDuration()); });
  EXPECT_EQ(spool->Seal(0), 1u);
  waits.join();
  EXPECT_TRUE(sealed);
}

TEST(Spool, ReopenedSpoolGoesOnAfterTheLastEvent) {
  testing::TempDir dir;
  for (int i = 1; i <= 30; ++i) {
    auto spool = OpenSpool(dir / "spool", {.max_bytes = 1 << 20, .segment_bytes = 100});
    EXPECT_EQ(spool->Append(absl::StrCat(i), 0), static_cast<uint64_t>(i));
  }
  EXPECT_EQ(Lines(*OpenSpool(dir / "spool")).size(), 30u);
}

TEST(Spool, TornTailIsCutAtEveryByte) {
  testing::TempDir dir;
  const std::string folder = dir / "spool";
  OpenSpool(folder)->Append("first", 1);
  const auto intact = fs::file_size(OnlySegment(folder));
  OpenSpool(folder)->Append("second", 2);
  const auto whole = fs::file_size(OnlySegment(folder));
  std::ifstream in(OnlySegment(folder), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  for (auto size = intact; size < whole; ++size) {
    std::ofstream(OnlySegment(folder), std::ios::binary | std::ios::trunc) << bytes.substr(0, size);
    auto spool = OpenSpool(folder);
    EXPECT_EQ(Lines(*spool), std::vector<std::string>{"first"}) << size;
    EXPECT_EQ(spool->Append("again", 3), 2u);
  }
}

TEST(Spool, DamagedByteEndsTheSpoolThere) {
  testing::TempDir dir;
  const std::string folder = dir / "spool";
  {
    auto spool = OpenSpool(folder);
    for (int i = 0; i < 3; ++i) spool->Append("0123456789", 0);
  }
  std::fstream file(OnlySegment(folder), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(kSpoolHeaderBytes + 10 + kSpoolHeaderBytes + 4);  // in the second record's line
  file.put('X');
  file.close();
  EXPECT_EQ(Lines(*OpenSpool(folder)).size(), 1u);
}

TEST(Spool, TheLogNamesTheFilesOfWhichEventsAreLost) {
  testing::TempDir dir;
  const std::string folder = dir / "spool";
  {
    auto spool = OpenSpool(folder, {.max_bytes = 1 << 20, .segment_bytes = 60});
    for (int i = 0; i < 6; ++i) spool->Append("0123456789", 0);  // two a segment
  }
  const std::string first = folder + "/00000000000000000001.events";
  const std::string later = folder + "/00000000000000000005.events";
  ASSERT_TRUE(fs::exists(first) && fs::exists(later));
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  const auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(log, true);
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
  OpenSpool(folder);
  EXPECT_EQ(log.str(), "") << "of an intact one there is nothing to tell";
  fs::resize_file(first, fs::file_size(first) - 1);
  EXPECT_EQ(Lines(*OpenSpool(folder)).size(), 1u);
  spdlog::set_default_logger(before);
  EXPECT_NE(log.str().find(first + ": cut off after event 1"), std::string::npos) << log.str();
  EXPECT_NE(log.str().find(later + ": deleted"), std::string::npos) << log.str();
}

TEST(Spool, OneThatWasDamagedGoesOnAfterWhatTheCoordinatorHas) {
  testing::TempDir dir;
  const std::string folder = dir / "spool";
  {
    auto spool = OpenSpool(folder, {.max_bytes = 1 << 20, .segment_bytes = 60});
    for (int i = 0; i < 6; ++i) spool->Append("0123456789", 0);
    ASSERT_TRUE(spool->GoOnAfter(5).ok());
    EXPECT_EQ(spool->last_seq(), 6u) << "it has more than that";
    EXPECT_EQ(Lines(*spool).size(), 6u);
    EXPECT_FALSE(spool->GoOnAfter(std::numeric_limits<uint64_t>::max()).ok()) << "after which there is no number";
    ASSERT_TRUE(spool->GoOnAfter(10).ok());
    EXPECT_EQ(spool->last_seq(), 10u);
    EXPECT_TRUE(spool->WaitForAcknowledged(10, absl::ZeroDuration()));
    EXPECT_EQ(spool->first_kept_seq(), 11u);
    EXPECT_EQ(spool->Append("next", 0), 11u);
    EXPECT_EQ(Lines(*spool, 11), std::vector<std::string>{"next"});
  }
  auto spool = OpenSpool(folder);
  EXPECT_EQ(spool->last_seq(), 11u);
  EXPECT_EQ(spool->acknowledged_seq(), 10u);
  EXPECT_EQ(Lines(*spool, 11), std::vector<std::string>{"next"});
}

TEST(Spool, SyncForcesToDiskWhatIsNew) {
  testing::TempDir dir;
  const std::string folder = dir / "spool";
  auto spool = OpenSpool(folder, {.max_bytes = 1 << 20, .segment_bytes = 60});
  for (int i = 0; i < 2; ++i) spool->Append("0123456789", 0);
  EXPECT_TRUE(spool->Sync().ok());
  fs::remove(OnlySegment(folder));
  EXPECT_TRUE(spool->Sync().ok()) << "what is on disk is left alone";
  spool->Append("in the next segment", 0);
  EXPECT_TRUE(spool->Sync().ok());
  spool->Append("in the same", 0);
  fs::remove(OnlySegment(folder));
  EXPECT_FALSE(spool->Sync().ok()) << "its file is gone";
}

TEST(Spool, NobodyWaitsForASyncNorCountsOnItForWhatCameMeanwhile) {
  testing::TempDir dir;
  const std::string folder = dir / "spool";
  auto spool = OpenSpool(folder, {.max_bytes = 1 << 20, .segment_bytes = 60});
  for (int i = 0; i < 4; ++i) spool->Append("0123456789", 0);
  BusyDisk disk;
  absl::Status synced;
  std::thread syncing([&] { synced = spool->Sync(); });
  disk.AwaitSync();
  absl::Notification done;
  std::thread others([&] {
    EXPECT_EQ(spool->Append("in the next segment", 0), 5u);
    EXPECT_EQ(Lines(*spool).size(), 5u);
    spool->Acknowledge(4);  // which deletes the files that are on their way to the disk
    done.Notify();
  });
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(10)));
  disk.GoOn();
  syncing.join();
  others.join();
  EXPECT_TRUE(synced.ok()) << synced;
  fs::remove(OnlySegment(folder));
  EXPECT_FALSE(spool->Sync().ok()) << "the last one is not on the disk yet, and its file is gone";
}

TEST(Spool, ForgetsAcknowledgedSegmentsButNotTheNumbering) {
  testing::TempDir dir;
  const Spool::Options options{.max_bytes = 1 << 20, .segment_bytes = 100};
  {
    auto spool = OpenSpool(dir / "spool", options);
    for (int i = 1; i <= 40; ++i) spool->Append(absl::StrCat(i), 0);
    spool->Acknowledge(40);
    EXPECT_GT(spool->first_kept_seq(), 30u);
  }
  auto spool = OpenSpool(dir / "spool", options);
  EXPECT_EQ(spool->last_seq(), 40u);
  EXPECT_GE(spool->acknowledged_seq(), 30u);
  EXPECT_EQ(spool->Append("next", 0), 41u);
}

TEST(Spool, FullSpoolDropsAndRecordsTheGap) {
  testing::TempDir dir;
  auto spool = OpenSpool(dir / "spool", {.max_bytes = 1000, .segment_bytes = 200, .max_held_bytes = 0});
  uint64_t last = 0;
  while (const uint64_t seq = spool->Append(std::string(50, 'x'), 0)) last = seq;
  EXPECT_EQ(spool->Append("lost too", 0), 0u);
  EXPECT_EQ(spool->last_seq(), last);
  EXPECT_EQ(std::string(spool->loss().message()).find("2 events lost: " + dir / "spool" + " is full of "), 0u)
      << spool->loss();
  spool->Acknowledge(last);
  EXPECT_EQ(spool->Append("after", 0), last + 2);
  const auto lines = Lines(*spool, last + 1);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_NE(lines[0].find("2 events were lost"), std::string::npos) << lines[0];
  EXPECT_EQ(lines[1], "after");
}

TEST(Spool, SealedSpoolTakesNothingMoreAndEndsWithItsGap) {
  testing::TempDir dir;
  auto spool = OpenSpool(dir / "spool", {.max_bytes = 100, .segment_bytes = 1000, .max_held_bytes = 0});
  spool->Append("kept", 0);
  EXPECT_EQ(spool->Append(std::string(200, 'x'), 0), 0u);
  EXPECT_EQ(spool->Seal(0), 2u);
  EXPECT_EQ(spool->Append("late", 0), 0u);
  EXPECT_NE(Lines(*spool)[1].find("1 events were lost"), std::string::npos);
}

TEST(Spool, WhatAFullDiskDoesNotTakeIsReadFromMemoryAndWrittenWhenThereIsRoom) {
  testing::TempDir dir;
  const std::string folder = dir / "spool";
  const std::vector<std::string> all = {"fits", "held", "held, too", "next"};
  {
    auto spool = OpenSpool(folder);
    EXPECT_EQ(spool->Append("fits", 0), 1u);
    {
      const testing::FullDisk full(fs::file_size(OnlySegment(folder)) + 2);
      EXPECT_EQ(spool->Append("held", 0), 2u);
      EXPECT_EQ(spool->Append("held, too", 0), 3u);
      EXPECT_EQ(Lines(*spool), std::vector<std::string>(all.begin(), all.end() - 1));
      EXPECT_EQ(Lines(*OpenSpool(folder)).size(), 1u) << "a daemon that starts now has no more";
      EXPECT_FALSE(spool->Sync().ok()) << "no checkpoint may count on what memory holds";
    }
    EXPECT_EQ(spool->Append("next", 0), 4u);
    EXPECT_TRUE(spool->Sync().ok());
    EXPECT_TRUE(spool->loss().ok());
    EXPECT_EQ(Lines(*spool), all);
  }
  EXPECT_EQ(Lines(*OpenSpool(folder)), all);
}

TEST(Spool, SyncAndSealWriteWhatIsHeld) {
  for (const bool seals : {false, true}) {
    testing::TempDir dir;
    const std::string folder = dir / "spool";
    {
      auto spool = OpenSpool(folder);
      {
        const testing::FullDisk full(2);
        EXPECT_EQ(spool->Append("held", 0), 1u);
      }
      if (seals) {
        EXPECT_EQ(spool->Seal(0), 1u);
      } else {
        EXPECT_TRUE(spool->Sync().ok());
      }
    }
    EXPECT_EQ(Lines(*OpenSpool(folder)), std::vector<std::string>{"held"}) << seals;
  }
}

TEST(Spool, OnADiskThatStaysFullEventsAreDeliveredFromMemory) {
  testing::TempDir dir;
  auto spool = OpenSpool(dir / "spool");
  const testing::FullDisk full(2);
  EXPECT_EQ(spool->Append("first", 0), 1u);
  EXPECT_TRUE(spool->WaitForRecordAfter(0, absl::ZeroDuration()));
  EXPECT_EQ(spool->Read(1, 10, 1000).size(), 1u);
  spool->Acknowledge(1);
  EXPECT_EQ(spool->Append("last", 0), 2u);
  EXPECT_EQ(spool->Seal(0), 2u);
  EXPECT_EQ(Lines(*spool, 2), std::vector<std::string>{"last"});
  EXPECT_TRUE(spool->loss().ok());
}

TEST(Spool, BeyondWhatMemoryMayHoldEventsAreDroppedAndCounted) {
  testing::TempDir dir;
  auto spool = OpenSpool(dir / "spool", {.max_held_bytes = 60});
  EXPECT_EQ(spool->Append("fits", 0), 1u);
  {
    const testing::FullDisk full(fs::file_size(OnlySegment(dir / "spool")) + 2);
    EXPECT_EQ(spool->Append("held", 0), 2u);
    EXPECT_EQ(spool->Append("held", 0), 3u);
    EXPECT_TRUE(spool->loss().ok());
    EXPECT_EQ(spool->Append("lost", 0), 0u);
    EXPECT_EQ(spool->Append("", 0), 0u) << "small enough, but after one that is lost";
    EXPECT_EQ(spool->last_seq(), 3u);
  }
  EXPECT_EQ(spool->Append("after", 0), 5u);
  const auto lines = Lines(*spool, 3);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0], "held");
  EXPECT_NE(lines[1].find("2 events were lost"), std::string::npos) << lines[1];
  EXPECT_EQ(lines[2], "after");
  const std::string loss(spool->loss().message());
  EXPECT_EQ(loss.find("2 events lost: "), 0u) << loss;
  EXPECT_NE(loss.find(OnlySegment(dir / "spool").string() + ": File too large"), std::string::npos) << loss;
}

TEST(Spool, WhatComesBeyondItsLimitIsHeldUntilTheCoordinatorHasTakenSome) {
  testing::TempDir dir;
  const auto on_disk = [&] {
    uintmax_t bytes = 0;
    for (const auto& segment : fs::directory_iterator(dir / "spool")) bytes += segment.file_size();
    return bytes;
  };
  {
    auto spool = OpenSpool(dir / "spool", {.max_bytes = 300, .segment_bytes = 100});
    for (uint64_t i = 1; i <= 20; ++i) EXPECT_EQ(spool->Append(absl::StrCat("event ", i), 0), i);
    EXPECT_LE(on_disk(), 300u);
    ASSERT_EQ(Lines(*OpenSpool(dir / "spool")).size(), 9u) << "the rest is held";
    EXPECT_EQ(spool->Read(8, 3, 1000).size(), 3u);
    EXPECT_EQ(spool->Read(8, 100, 15).size(), 2u) << "the third would be the first that is held";
    EXPECT_EQ(Lines(*spool).size(), 20u);
    spool->Acknowledge(5);
    EXPECT_EQ(spool->Append("event 21", 0), 21u);
    EXPECT_LE(on_disk(), 300u);
    EXPECT_GT(Lines(*OpenSpool(dir / "spool"), 5).size(), 5u) << "what there is room for is written";
    EXPECT_TRUE(spool->Sync().ok()) << "before a checkpoint all is";
  }
  const auto lines = Lines(*OpenSpool(dir / "spool"), 5);
  ASSERT_EQ(lines.size(), 17u);
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i], absl::StrCat("event ", i + 5));
}

}  // namespace
}  // namespace sink::worker
