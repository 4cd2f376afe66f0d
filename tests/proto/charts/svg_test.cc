// The chart library: round ticks, valid XML, gaps, bands, names.
#include "proto/charts/svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace sink::charts {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Every tag is closed in order: enough of a parser for what we write.
bool IsBalanced(const std::string& xml) {
  std::vector<std::string> open;
  for (size_t at = xml.find('<'); at != std::string::npos; at = xml.find('<', at + 1)) {
    const size_t end = xml.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = xml.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" \n"));
    if (tag.back() == '/') continue;
    if (tag[0] != '/') {
      open.push_back(name);
    } else {
      if (open.empty() || "/" + open.back() != tag) return false;
      open.pop_back();
    }
  }
  return open.empty();
}

LineChart SmallChart() {
  LineChart chart{"Sink rate <1>", "A & B", "steps", "sink rate (%)", true, {}};
  chart.series.push_back({"a", {0, 100, 200}, {0, 10, 20}, {0, 8, 15}, {0, 12, 25}, 0, false});
  chart.series.push_back({"b \"x\"", {0, 100, 200, 300}, {1, NAN, 5, 6}, {}, {}, 8, false});
  return chart;
}

TEST(Ticks, AreRoundAndCoverTheRange) {
  EXPECT_THAT(NiceTicks(0, 100, 6), ElementsAre(0, 20, 40, 60, 80, 100));
  EXPECT_THAT(NiceTicks(3, 97, 6), ElementsAre(0, 20, 40, 60, 80, 100));
  EXPECT_THAT(NiceTicks(0, 20000, 5), ElementsAre(0, 5000, 10000, 15000, 20000));
  for (const auto& [least, most] : {std::pair(0.0, 1e-7), {5.0, 5.0}, {0.0, 0.0}, {-3.0, 2.0}, {1e9, 1e9 + 1}}) {
    const std::vector<double> ticks = NiceTicks(least, most, 6);
    ASSERT_GE(ticks.size(), 2u);
    ASSERT_LE(ticks.size(), 16u);
    EXPECT_LE(ticks.front(), least);
    EXPECT_GE(ticks.back(), most * (1 - 1e-12));
  }
}

TEST(Ticks, TextHasNoMoreDigitsThanItNeeds) {
  EXPECT_EQ(TickText(0.6000000000000001, 0.2), "0.6");
  EXPECT_EQ(TickText(0.25, 0.25), "0.25");
  EXPECT_EQ(TickText(2.5, 2.5), "2.5");
  EXPECT_EQ(TickText(20000, 5000), "20k");
  EXPECT_EQ(TickText(7500, 2500), "7.5k");
  EXPECT_EQ(TickText(2e6, 1e6), "2M");
  EXPECT_EQ(TickText(1e-17, 0.1), "0");
}

TEST(LineChartSvg, IsWellFormedNamedAndDescribed) {
  for (const Placement placement : {Placement::kStandalone, Placement::kInline}) {
    const std::string svg = Draw(SmallChart(), placement);
    EXPECT_TRUE(IsBalanced(svg)) << svg;
    EXPECT_THAT(svg, HasSubstr("<title>Sink rate &lt;1&gt;</title>"));
    EXPECT_THAT(svg, HasSubstr("<desc>A &amp; B</desc>"));
    EXPECT_THAT(svg, HasSubstr("b &quot;x&quot;"));
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
    EXPECT_EQ(svg.find("<style>") != std::string::npos, placement == Placement::kStandalone);
  }
}

TEST(LineChartSvg, AGapBreaksTheLineAndReplicasGetABand) {
  const std::string svg = Draw(SmallChart(), Placement::kInline);
  const size_t b = svg.find("class=\"series s1 dotted\" d=\"");  // the ninth has the second's colour again, dotted
  ASSERT_NE(b, std::string::npos);
  const std::string path = svg.substr(b, svg.find("/>", b) - b);
  EXPECT_EQ(std::count(path.begin(), path.end(), 'M'), 2);
  EXPECT_THAT(svg, HasSubstr("class=\"band f0\""));
}

TEST(Looks, FiftySevenSettingsLookDifferentAndTheFirstHasAColourOfItsOwn) {
  std::set<std::string> swatches;
  for (int number = 0; number < 57; ++number) {
    swatches.insert(Swatch(number));
    EXPECT_TRUE(IsBalanced(Swatch(number))) << number;
    EXPECT_EQ(LookOf(number).color == 0, number == 0) << number;
  }
  EXPECT_EQ(swatches.size(), 57u);
  for (int number = 0; number < 8; ++number) EXPECT_EQ(LookOf(number).color, number);
}

TEST(Looks, LinesOfOneColourHaveOtherDashes) {
  LineChart chart{"t", "d", "x", "y", false, {}};
  for (const int number : {1, 8, 29}) chart.series.push_back({"a", {0, 1}, {0, 1}, {}, {}, number, false});
  const std::string svg = Draw(chart, Placement::kInline);
  for (const char* style : {"\"series s1\"", "\"series s1 dotted\"", "\"series s1 thin\""})
    EXPECT_THAT(svg, HasSubstr(style));
}

TEST(Looks, RowsOfOneColourHaveOtherMarkers) {
  const IntervalChart chart{"t", "d", "x", {0}, {{"a", 1, {}, 1, ""}, {"b", 2, {}, 8, ""}, {"c", 3, {}, 29, ""}}};
  const std::string svg = Draw(chart, Placement::kInline);
  EXPECT_TRUE(IsBalanced(svg)) << svg;
  EXPECT_THAT(svg, HasSubstr("<circle class=\"dot f1\""));
  EXPECT_THAT(svg, HasSubstr("<path class=\"dot f1\""));
  EXPECT_THAT(svg, HasSubstr("<circle class=\"hollow s1\""));
}

TEST(LineChartSvg, WithoutDataIsStillAChart) {
  LineChart chart{"t", "d", "x", "y", false, {{"none", {1}, {INFINITY}, {}, {}, 0, false}}};
  EXPECT_TRUE(IsBalanced(Draw(chart, Placement::kInline)));
}

TEST(LineChartSvg, PanelsShareTheirAxesAndShowTheOthersInGrey) {
  LineChart chart = SmallChart();
  chart.panels = true;
  for (const Placement placement : {Placement::kStandalone, Placement::kInline}) {
    const std::string svg = Draw(chart, placement);
    EXPECT_TRUE(IsBalanced(svg)) << svg;
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
    EXPECT_EQ(svg.find("class=\"hover\"") != std::string::npos, placement == Placement::kInline);
  }
}

TEST(LineChartSvg, LongNamesOfPanelsStandOnSeveralLines) {
  LineChart chart = SmallChart();
  chart.panels = true;
  chart.series[0].name = "similarity=identity feature_map=elu_plus_one normalize=false";
  const std::string svg = Draw(chart, Placement::kStandalone);
  for (const char* line : {">similarity=identity<", ">feature_map=elu_plus_one<", ">normalize=false<"})
    EXPECT_THAT(svg, HasSubstr(line));
}

TEST(IntervalChartSvg, DrawsEachRowItsNoteAndTheMarks) {
  IntervalChart chart{"t", "d", "x", {0}, {{"a", 1, std::pair(0.5, 1.5), 2, "surely"}, {"b", NAN, {}, 3, "never"}}};
  const std::string svg = Draw(chart, Placement::kStandalone);
  EXPECT_TRUE(IsBalanced(svg)) << svg;
  EXPECT_THAT(svg, HasSubstr("<title>a: 1.000 (0.500 to 1.500)</title>"));
  EXPECT_THAT(svg, HasSubstr("class=\"mark\""));
  EXPECT_THAT(svg, HasSubstr(">never</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(IntervalChartSvg, ACellIsNamedForThoseWhoHearIt) {
  const std::string svg = DrawCell({"a", 0.36, std::pair(0.16, 0.57), 2, ""}, {0, 0.05}, "effect +0.36");
  EXPECT_TRUE(IsBalanced(svg)) << svg;
  EXPECT_THAT(svg, HasSubstr("role=\"img\""));
  EXPECT_THAT(svg, HasSubstr("<title>effect +0.36</title>"));
  EXPECT_TRUE(IsBalanced(DrawCell({"a", NAN, {}, 2, ""}, {0, 0}, "none")));
}

TEST(HeatMapSvg, EachCellSaysItsValueAndOddValuesAreGrey) {
  HeatMapChart chart{"t", "d", "layer", "head", "alpha", {{"p", 2, 2, {0.0, 0.25, NAN, 1.0}}}, 0, 1};
  const std::string svg = Draw(chart, Placement::kStandalone);
  EXPECT_TRUE(IsBalanced(svg));
  EXPECT_THAT(svg, HasSubstr("<title>layer 0, head 1: 0.250</title>"));
  EXPECT_THAT(svg, HasSubstr("fill=\"#808080\""));
  EXPECT_THAT(svg, HasSubstr("fill=\"#00224e\""));  // the ends of cividis
  EXPECT_THAT(svg, HasSubstr("fill=\"#fee838\""));
}

}  // namespace
}  // namespace sink::charts
