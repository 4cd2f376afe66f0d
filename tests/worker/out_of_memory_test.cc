// What counts as a reason for a SIGKILL.
#include "worker/out_of_memory.h"

#include <gtest/gtest.h>

namespace sink::worker {
namespace {

TEST(OutOfMemoryWatch, AKillOfLongAgoIsNoReason) {
  int64_t kills = 3;
  OutOfMemoryWatch watch(absl::Seconds(100), [&kills] { return kills; });
  EXPECT_FALSE(watch.KilledLately());
  ++kills;  // another container's, on the first day
  EXPECT_TRUE(watch.KilledLately());
  for (int second = 101; second <= 114; ++second) watch.Tick(absl::Seconds(second));
  EXPECT_TRUE(watch.KilledLately());
  for (int second = 115; second <= 130; ++second) watch.Tick(absl::Seconds(second));
  EXPECT_FALSE(watch.KilledLately());
  ++kills;
  EXPECT_TRUE(watch.KilledLately());
}

TEST(OutOfMemoryWatch, ReadsTheKernelsCount) { EXPECT_GE(OutOfMemoryKills(), 0); }

}  // namespace
}  // namespace sink::worker
