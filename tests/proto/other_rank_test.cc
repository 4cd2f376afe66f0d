// What a rank says of another's failure is told from what it says of its own.
#include "proto/pipe/other_rank.h"

#include <gtest/gtest.h>

namespace sink::pipe {
namespace {

TEST(OtherRank, WhatARankSaysOfAnotherIsKnownAsThat) {
  const std::string said = OfAnotherRank("rank 1 of 4 failed: no sign of life", "rank 0 of 4", "broken pipe");
  EXPECT_EQ(said, "rank 1 of 4 failed: no sign of life (seen by rank 0 of 4: broken pipe)");
  EXPECT_TRUE(IsOfAnotherRank(said));
  EXPECT_TRUE(IsOfAnotherRank("rank 2: " + said)) << "as a worker with several ranks passes it on";
  EXPECT_TRUE(IsOfAnotherRank(OfAnotherRank("rank 1 of 2 did not come", "rank 0 of 2", "")));
}

TEST(OtherRank, WhatARankSaysOfItselfIsNot) {
  for (const char* own : {"", "cannot write step-000010: No space left on device", "rank 0 cannot listen",
                          "trainer ended: exit code 67\nstderr:\nrank 1 of 4 failed (seen by rank 0 of 4: what)"}) {
    EXPECT_FALSE(IsOfAnotherRank(own)) << own;
  }
}

}  // namespace
}  // namespace sink::pipe
