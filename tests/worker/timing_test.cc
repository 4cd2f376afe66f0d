// How long a worker pauses between its tries.
#include "worker/timing.h"

#include <gtest/gtest.h>

namespace sink::worker {
namespace {

TEST(Backoff, GrowsFromAFifthOfASecondToSevenSeconds) {
  Backoff backoff;
  EXPECT_LE(backoff.Next(), absl::Milliseconds(240));
  absl::Duration last;
  for (int i = 0; i < 10; ++i) last = backoff.Next();
  EXPECT_GE(last, absl::Seconds(5.6));
  EXPECT_LE(last, absl::Seconds(8.4));
  backoff.Reset();
  EXPECT_LE(backoff.Next(), absl::Milliseconds(240));
}

TEST(Backoff, WhoIsRefusedPausesUpToAMinute) {
  Backoff backoff;
  EXPECT_LE(backoff.Next(absl::Minutes(1)), absl::Milliseconds(240));
  absl::Duration last;
  for (int i = 0; i < 10; ++i) last = backoff.Next(absl::Minutes(1));
  EXPECT_GE(last, absl::Seconds(48));
  EXPECT_LE(last, absl::Seconds(72));
}

TEST(Backoff, WhoMustBeBackSoonPausesNoLongerThanItSays) {
  Backoff backoff;
  for (int i = 0; i < 20; ++i) EXPECT_LE(backoff.Next(absl::Milliseconds(1400)), absl::Milliseconds(1680)) << i;
}

}  // namespace
}  // namespace sink::worker
