// Width, cutting and cleaning of text, and numbers for people.
#include "coordinator/cli/print/terminal_text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sink::cli {
namespace {

TEST(Text, WidthCountsTerminalColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("\u03b1\u2081"), 2);
  EXPECT_EQ(DisplayWidth("\u6f22\u5b57"), 4);  // wide
  EXPECT_EQ(DisplayWidth("e\u0301"), 1);       // combining
  EXPECT_EQ(DisplayWidth("\xff"), 1);          // malformed: one replacement
}

TEST(Text, EllipsizeNeverSplitsACharacter) {
  EXPECT_EQ(Ellipsize("learning_rate", 20), "learning_rate");
  EXPECT_EQ(Ellipsize("learning_rate", 6), "learn\u2026");
  EXPECT_EQ(Ellipsize("\u6f22\u5b57\u6f22", 4), "\u6f22\u2026");  // a wide character does not fit into one column
  EXPECT_EQ(Ellipsize("ab", 1), "\u2026");
  EXPECT_EQ(Ellipsize("ab", 0), "");
}

TEST(Text, WrapBreaksAtSpacesAndCutsLongWords) {
  EXPECT_EQ(Wrap("the loss is not finite", 9), (std::vector<std::string>{"the loss", "is not", "finite"}));
  EXPECT_EQ(Wrap("abcdef", 4), (std::vector<std::string>{"abcd", "ef"}));
  EXPECT_EQ(Wrap("", 4), (std::vector<std::string>{""}));
  EXPECT_EQ(Wrap("\u6f22\u5b57", 1),
            (std::vector<std::string>{"\u6f22", "\u5b57"}));  // wider than the line: still ends
}

TEST(Text, CleanRemovesWhatATerminalWouldObey) {
  EXPECT_EQ(Clean("\x1b[31mred\x1b[0m"), "red");
  EXPECT_EQ(Clean("\x1b]0;title\aafter"), "after");
  EXPECT_EQ(Clean("\x1b]8;;http://x\x1b\\link"), "link");
  EXPECT_EQ(Clean("\x1b]0;never ends"), "0;never ends");
  EXPECT_EQ(Clean("a\tb\nc\rd"), "a b c d");
  EXPECT_EQ(Clean(std::string("nul\0bel\a\b\x7f", 9)), "nulbel");
  EXPECT_EQ(Clean("\u009b31mC1"), "31mC1");
  EXPECT_EQ(Clean("\u202eevil"), "evil");
  EXPECT_EQ(Clean("\xff\xfe"), "\ufffd\ufffd");
  EXPECT_EQ(Clean("\x1b"), "");
  EXPECT_EQ(Clean("\x1b["), "");
  EXPECT_EQ(Clean("na\u00efve \u2713"), "na\u00efve \u2713");
}

TEST(Text, NumbersAreShortAndStable) {
  EXPECT_EQ(FormatFixed(3.14159, 3), "3.142");
  EXPECT_EQ(FormatFixed(NAN, 3), "NaN");
  EXPECT_EQ(FormatFixed(INFINITY, 3), "inf");
  EXPECT_EQ(FormatFixed(-INFINITY, 3), "-inf");
  EXPECT_EQ(FormatFixed(12345678, 3), "1.2e7");
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(999.7), "1.00k");
  EXPECT_EQ(FormatCount(8090), "8.09k");
  EXPECT_EQ(FormatCount(60.2e6), "60.2M");
  EXPECT_EQ(FormatCount(1.05e10), "10.5B");
  EXPECT_EQ(FormatCount(3.1e18), "3.1e18");
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(1.5 * 1024 * 1024), "1.50 MiB");
  EXPECT_EQ(FormatBytes(5e12), "4.5 TiB");
  EXPECT_EQ(FormatDuration(45), "45s");
  EXPECT_EQ(FormatDuration(59.7), "1m00s");
  EXPECT_EQ(FormatDuration(380), "6m20s");
  EXPECT_EQ(FormatDuration(7500), "2h05m");
  EXPECT_EQ(FormatDuration(273600), "3d04h");
  EXPECT_EQ(FormatDuration(-1), "-");
  EXPECT_EQ(FormatDuration(NAN), "-");
  EXPECT_EQ(FormatTime(0), "-");
}

}  // namespace
}  // namespace sink::cli
