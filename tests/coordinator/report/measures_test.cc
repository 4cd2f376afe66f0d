// The measures of a report: what uniform attention scores, and statistics over replicas.
#include "coordinator/report/measures.h"

#include <gtest/gtest.h>

namespace sink::report {
namespace {

TEST(Measures, UniformAlphaIsWhatAHeadWithoutPreferenceScores) {
  // T = 3: query i gives 1/i to each key it sees.
  EXPECT_NEAR(UniformAlpha(1, 3), (1 + 1.0 / 2 + 1.0 / 3) / 3, 1e-15);
  EXPECT_NEAR(UniformAlpha(2, 3), (1.0 / 2 + 1.0 / 3) / 2, 1e-15);
  EXPECT_EQ(UniformAlpha(4, 3), 0);
}

TEST(Measures, SummaryIsOfASample) {
  const Summary s = Summarize({1, 2, 3});
  EXPECT_DOUBLE_EQ(s.mean, 2);
  EXPECT_DOUBLE_EQ(s.deviation, 1);
  EXPECT_EQ(ShowSummary(s, 1), "2.0 ± 1.0");
  EXPECT_EQ(ShowSummary(Summarize({-0.001}), 1), "0.0");
  EXPECT_EQ(ShowSummary({}, 1), "");
}

}  // namespace
}  // namespace sink::report
