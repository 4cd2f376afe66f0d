// Curves as a line of text, and keys out of bytes.
#include "coordinator/cli/top/curve.h"

#include <gtest/gtest.h>

#include <cmath>

#include "coordinator/cli/top/keys.h"

namespace sink::cli {
namespace {

Curve CurveOf(const std::vector<double>& values) {
  Curve curve;
  for (size_t i = 0; i < values.size(); ++i) curve.Add(static_cast<int64_t>(i), values[i]);
  return curve;
}

TEST(Curve, RunsFromItsLeastToItsLargestValue) {
  EXPECT_EQ(CurveOf({0, 1, 2, 3, 4, 5, 6, 7}).Sparkline(8), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(CurveOf({9, 1}).Sparkline(4), "███▁");
  EXPECT_EQ(CurveOf({2, 2, 2, 2}).Sparkline(4), "▁▁▁▁");
  EXPECT_EQ(CurveOf({5}).Sparkline(4), "");
  EXPECT_EQ(CurveOf({}).Sparkline(4), "");
}

TEST(Curve, ShowsWhereItWasNoNumber) {
  EXPECT_EQ(CurveOf({1, NAN, INFINITY, 2}).Sparkline(4), "▁  █");
  EXPECT_EQ(CurveOf({NAN, NAN}).Sparkline(2), "  ");
}

TEST(Curve, ALaterAttemptTakesThePlaceOfWhatItRepeats) {
  Curve curve = CurveOf({1, 1, 1, 9, 9, 9, 9, 9});
  curve.Add(3, 2);
  EXPECT_EQ(curve.last_step(), 3);
  EXPECT_EQ(curve.Sparkline(4), "▁▁▁█");
}

TEST(Curve, KeepsItsShapeHoweverLongItGets) {
  Curve curve;
  for (int64_t step = 1; step <= 1'000'000; ++step) curve.Add(step, static_cast<double>(step));
  EXPECT_EQ(curve.last_step(), 1'000'000);
  EXPECT_EQ(curve.Sparkline(8), "▁▂▃▄▅▆▇█");
}

TEST(Keys, ComeOutOfWhatATerminalSends) {
  const std::vector<Key> expected = {
      {KeyKind::kText, "j"}, {KeyKind::kUp},        {KeyKind::kDown},  {KeyKind::kPageUp},    {KeyKind::kHome},
      {KeyKind::kEnd},       {KeyKind::kText, "é"}, {KeyKind::kEnter}, {KeyKind::kBackspace}, {KeyKind::kEscape}};
  EXPECT_EQ(DecodeKeys("j\x1b[A\x1bOB\x1b[5~\x1b[H\x1b[4~é\r\x7f\x1b"), expected);
}

TEST(Keys, UnknownAndBrokenSequencesMeanNothing) {
  EXPECT_TRUE(DecodeKeys("\x1b[15~\x1b[1;5A\x01\x02").empty());
  EXPECT_TRUE(DecodeKeys("\x1b[").empty());
  EXPECT_EQ(DecodeKeys("\xe2\x96").size(), 1u);
  EXPECT_TRUE(DecodeKeys("").empty());
}

}  // namespace
}  // namespace sink::cli
