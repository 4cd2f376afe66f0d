// What a job remembers of its newest metric values, as listings show them.

#include "coordinator/job/latest_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sink {
namespace {

TEST(LatestValues, EveryDoubleSurvives) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::map<std::string, double> values = {
      {"a", 0.1}, {"b", -infinity}, {"c", 5e-324}, {"d", 1.7976931348623157e308}, {"e", 3}};
  EXPECT_EQ(LatestValues::FromMap(values).ToMap(), values);
  EXPECT_TRUE(std::isnan(LatestValues::FromMap({{"x", std::nan("")}}).ToMap().at("x")));
}

TEST(LatestValues, SkipsLinesItCannotRead) {
  LatestValues latest;
  latest.AssignText("good 1\nbad\nworse x\nalso 2 3\n\nlast 4");
  const auto values = latest.ToMap();
  EXPECT_EQ(values, (std::map<std::string, double>{{"good", 1}, {"last", 4}}));
}

TEST(MetricName, IsPrintableAsciiWithoutSpaces) {
  EXPECT_TRUE(IsMetricName("sink_rate/0.3/1"));
  EXPECT_FALSE(IsMetricName(""));
  EXPECT_FALSE(IsMetricName("a b"));
  EXPECT_FALSE(IsMetricName("a\n"));
  EXPECT_FALSE(IsMetricName("\xc3\xa9"));
  EXPECT_FALSE(IsMetricName(std::string(129, 'a')));
}

}  // namespace
}  // namespace sink
