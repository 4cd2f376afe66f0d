// Room for uploads on a disk of the test's own making: a number of free bytes that what is written is taken from.
#include "coordinator/service/upload_space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sink {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class UploadSpaceTest : public ::testing::Test {
 protected:
  static CheckpointKey Of(char job, int64_t step = 10) { return {std::string(32, job), 7, step}; }
  bool Reserve(const CheckpointKey& upload, uint64_t mib) { return space_.Reserve(upload, mib * kMiB).ok(); }
  bool Write(const CheckpointKey& upload, uint64_t mib) {
    const absl::Status taken = space_.Take(upload, mib * kMiB);
    EXPECT_TRUE(taken.ok() || absl::IsResourceExhausted(taken)) << taken;
    if (taken.ok()) free_ -= mib * kMiB;
    return taken.ok();
  }

  uint64_t free_ = 16 * kMiB;
  UploadSpace space_{[this]() -> absl::StatusOr<uint64_t> { return free_; }, 4 * kMiB};
};

TEST_F(UploadSpaceTest, WhatComesLaterWaitsForWhatOthersHaveStillToSend) {
  EXPECT_TRUE(Reserve(Of('a'), 8));
  EXPECT_FALSE(Reserve(Of('b'), 5));
  EXPECT_TRUE(Reserve(Of('c'), 4));
  EXPECT_TRUE(Write(Of('a'), 8));
  EXPECT_FALSE(Reserve(Of('b'), 1)) << "its bytes are on the disk now, and c's are to come";
  space_.Release(Of('c'));
  EXPECT_TRUE(Reserve(Of('b'), 4));
}

TEST_F(UploadSpaceTest, WhatWasBegunBeforeKeepsItsPlace) {
  EXPECT_TRUE(Reserve(Of('b'), 8));
  EXPECT_TRUE(Reserve(Of('a'), 4));
  free_ -= 2 * kMiB;
  EXPECT_FALSE(Reserve(Of('a'), 4));
  EXPECT_TRUE(Reserve(Of('b'), 8));
}

TEST_F(UploadSpaceTest, OfEachJobTheNewestCounts) {
  EXPECT_TRUE(Reserve(Of('a', 10), 8));
  EXPECT_TRUE(Reserve(Of('a', 20), 2)) << "an attempt sends one after the other";
  EXPECT_TRUE(Reserve(Of('b'), 10)) << "step 10 was given up";
  EXPECT_THAT(space_.Jobs(), ::testing::ElementsAre(std::string(32, 'a'), std::string(32, 'b')));
}

TEST_F(UploadSpaceTest, WritesStopAtTheReserveWhateverElseFillsTheDisk) {
  EXPECT_TRUE(Reserve(Of('a'), 12));
  free_ -= 10 * kMiB;  // somebody else's
  EXPECT_TRUE(Write(Of('a'), 1));
  EXPECT_TRUE(Write(Of('a'), 1));
  EXPECT_FALSE(Write(Of('a'), 1));
  EXPECT_EQ(free_, 4 * kMiB);
  free_ += 10 * kMiB;
  EXPECT_TRUE(Write(Of('a'), 10));
}

TEST_F(UploadSpaceTest, WhatIsCompleteNeedsNoRoom) {
  EXPECT_TRUE(Reserve(Of('a'), 8));
  EXPECT_TRUE(Write(Of('a'), 8));
  free_ = 0;
  EXPECT_TRUE(Reserve(Of('a'), 0));
}

}  // namespace
}  // namespace sink
