// A count and its noun agree.
#include "proto/base/counted.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace sink {
namespace {

TEST(Counted, OneIsSingularAndEveryOtherNumberPlural) {
  EXPECT_EQ(Counted(1, "job"), "1 job");
  EXPECT_EQ(Counted(0, "job"), "0 jobs");
  EXPECT_EQ(Counted(2, "data set"), "2 data sets");
  EXPECT_EQ(Counted(-1, "step"), "-1 steps");
}

TEST(Counted, APluralOfItsOwnIsTaken) {
  EXPECT_EQ(Counted(1, "retry", "retries"), "1 retry");
  EXPECT_EQ(Counted(11, "retry", "retries"), "11 retries");
  EXPECT_EQ(Counted(1, "job is", "jobs are"), "1 job is");
  EXPECT_EQ(Counted(0, "job is", "jobs are"), "0 jobs are");
}

TEST(Counted, LargeNumbersAreWrittenInFull) {
  EXPECT_EQ(Counted(int64_t{5'000'000'000}, "token"), "5000000000 tokens");
}

}  // namespace
}  // namespace sink
