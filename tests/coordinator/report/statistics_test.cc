// Intervals of means and of their differences, against tables and hand-computed values.
#include "coordinator/report/statistics.h"

#include <gtest/gtest.h>

namespace sink::report {
namespace {

TEST(Statistics, QuantilesAreThoseOfStudentsTables) {
  EXPECT_NEAR(StudentQuantile(0.05, 1), 12.7062, 1e-4);
  EXPECT_NEAR(StudentQuantile(0.05, 4), 2.776445, 1e-6);
  EXPECT_NEAR(StudentQuantile(0.05, 30), 2.042272, 1e-6);
  EXPECT_NEAR(StudentQuantile(0.01, 8), 3.355387, 1e-6);
  EXPECT_NEAR(StudentQuantile(0.05, 1e6), 1.959966, 1e-5);
}

TEST(Statistics, MeanIntervalIsStudents) {
  const auto interval = MeanInterval({1, 2, 3, 4, 5}, 0.05);
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR(interval->low, 3 - 2.776445 * 1.5811388 / 2.2360680, 1e-5);
  EXPECT_NEAR(interval->high, 3 + 2.776445 * 1.5811388 / 2.2360680, 1e-5);
  EXPECT_FALSE(MeanInterval({1}, 0.05).has_value());
}

// Variances 2.5 and 10 over five each: standard error sqrt(2.5), 5.8824 degrees of freedom.
TEST(Statistics, DifferenceIntervalOfOtherOrUnknownSeedsIsWelchs) {
  for (const std::vector<int64_t>& seeds : std::vector<std::vector<int64_t>>{{}, {6, 7, 8, 9, 10}, {5, 6, 7, 8, 9}}) {
    const auto interval = DifferenceInterval({{11, 12, 13, 14, 15}, {1, 2, 3, 4, 5}}, {{1, 3, 5, 7, 9}, seeds}, 0.05);
    ASSERT_TRUE(interval.has_value());
    EXPECT_NEAR((interval->low + interval->high) / 2, 8, 1e-12);
    EXPECT_NEAR((interval->high - interval->low) / 2, 2.4588 * 1.5811388, 1e-3);
  }
  EXPECT_FALSE(DifferenceInterval({{1, 2}, {}}, {{1}, {}}, 0.05).has_value());
}

// Differences 10, 10, 10, 10 and 9, though the values spread: mean 9.8, standard error 0.2, 4 degrees of freedom.
TEST(Statistics, DifferenceIntervalOfTheSameSeedsIsOfTheirDifferences) {
  const auto interval =
      DifferenceInterval({{11, 12, 13, 14, 15}, {1, 2, 3, 4, 5}}, {{6, 3, 1, 2, 4}, {5, 3, 1, 2, 4}}, 0.05);
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR((interval->low + interval->high) / 2, 9.8, 1e-12);
  EXPECT_NEAR((interval->high - interval->low) / 2, 2.776445 * 0.2, 1e-6);
}

TEST(Statistics, WithoutSpreadAnIntervalIsAPoint) {
  const auto interval = DifferenceInterval({{2, 2, 2}, {}}, {{1, 1, 1}, {}}, 0.05);
  ASSERT_TRUE(interval.has_value());
  EXPECT_EQ(interval->low, 1);
  EXPECT_EQ(interval->high, 1);
}

// Values known up to 6, equal by chance: a standard error of sqrt(2 (36 / 12) / 3) in place of none.
TEST(Statistics, WhatIsKnownUpToAResolutionIsNoPoint) {
  const auto interval = DifferenceInterval({{2, 2, 2}, {}}, {{1, 1, 1}, {}}, 0.05, 6);
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR(interval->high, 1 + 2.776445 * 1.4142136, 1e-5);
  const auto by_seed = DifferenceInterval({{2, 2, 2}, {1, 2, 3}}, {{1, 1, 1}, {1, 2, 3}}, 0.05, 6);
  ASSERT_TRUE(by_seed.has_value());
  EXPECT_NEAR(by_seed->high, 1 + 4.302653 * 1.4142136, 1e-5);  // 2 degrees of freedom in place of 4
  EXPECT_NEAR(MeanInterval({1, 1, 1, 1, 1}, 0.05, 6)->low, 1 - 2.776445 * 0.7745967, 1e-5);
}

}  // namespace
}  // namespace sink::report
