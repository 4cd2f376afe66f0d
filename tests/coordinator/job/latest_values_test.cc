// What a job remembers of its newest metric values, as listings show them.

#include "coordinator/job/latest_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>

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

TEST(LatestValues, FindsOneValueByItsWholeName) {
  LatestValues latest;
  latest.AssignText("a 1\na/b 2\nbad\nc x\nc 3\nd 4");
  EXPECT_EQ(latest.Find("a"), 1);
  EXPECT_EQ(latest.Find("a/b"), 2);
  EXPECT_EQ(latest.Find("c"), 3) << "after a line that cannot be read";
  EXPECT_EQ(latest.Find("d"), 4);
  for (const char* absent : {"", "a/", "b", "bad", "e"}) EXPECT_EQ(latest.Find(absent), std::nullopt) << absent;
  EXPECT_EQ(LatestValues().Find("a"), std::nullopt);
}

TEST(MetricName, IsPrintableAsciiWithoutSpaces) {
  EXPECT_TRUE(IsMetricName("sink_rate/0.3/1"));
  EXPECT_FALSE(IsMetricName(""));
  EXPECT_FALSE(IsMetricName("a b"));
  EXPECT_FALSE(IsMetricName("a\n"));
  EXPECT_FALSE(IsMetricName("\xc3\xa9"));
  EXPECT_FALSE(IsMetricName(std::string(129, 'a')));
}

TEST(LatestValues, AnEditorGivesWhatTheMapsGive) {
  std::map<std::string, double> values = {{"b", 1.5}, {"d", -0.25}};
  LatestValues latest = LatestValues::FromMap(values);
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    LatestValues::Editor editor(latest);
    for (int i = 0; i < 5; ++i) {
      const std::string name(1, static_cast<char>('a' + random() % 26));
      const double value = random() % 7 == 0 ? std::nan("") : static_cast<double>(random()) / 3;
      EXPECT_EQ(editor.Has(name), values.contains(name));
      editor.Set(name, value);
      values[name] = value;
      EXPECT_EQ(editor.size(), values.size());
    }
    latest = editor.Take();
    EXPECT_EQ(latest, LatestValues::FromMap(values));
  }
}

}  // namespace
}  // namespace sink
