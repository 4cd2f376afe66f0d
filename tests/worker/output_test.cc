// Lines of a trainer's output: cut, capped, and kept for the failure message.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "worker/line_splitter.h"
#include "worker/output_capture.h"

namespace sink::worker {
namespace {

TEST(LineSplitter, LinesAreTheSameHoweverTheStreamIsCut) {
  const std::string stream = "one\ntwo\r\n\nmuch too long a line\nlast";
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    LineSplitter splitter(10);
    std::vector<std::string> lines;
    auto handler = [&](std::string_view line, bool overlong) {
      lines.push_back(std::string(line) + (overlong ? "!" : ""));
    };
    for (size_t at = 0; at < stream.size(); at += piece) splitter.Add(stream.substr(at, piece), handler);
    splitter.Finish(handler);
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "", "much too l!", "last"})) << piece;
  }
}

TEST(OutputCapture, RateIsLimitedAndTheRestCounted) {
  OutputCapture capture;
  std::vector<std::string> lines;
  auto handler = [&](std::string_view line) { lines.emplace_back(line); };
  for (int i = 0; i < 5000; ++i) capture.Add("line\n", absl::Seconds(1), handler);
  EXPECT_EQ(lines.size(), 1000u);
  capture.Add("later\n", absl::Seconds(2), handler);
  ASSERT_EQ(lines.size(), 1002u);
  EXPECT_EQ(lines[1000], "(4000 lines left out: too many at once)");
  EXPECT_EQ(lines[1001], "later");
}

TEST(OutputCapture, ExcerptKeepsTheStartAndTheEnd) {
  OutputCapture capture;
  auto ignore = [](std::string_view) {};
  capture.Add("START\n", absl::ZeroDuration(), ignore);
  for (int i = 0; i < 300; ++i) capture.Add(std::string(1000, 'm') + "\n", absl::ZeroDuration(), ignore);
  capture.Add("END\n", absl::ZeroDuration(), ignore);
  const std::string excerpt = capture.Excerpt();
  EXPECT_EQ(excerpt.substr(0, 6), "START\n");
  EXPECT_EQ(excerpt.substr(excerpt.size() - 4), "END\n");
  EXPECT_NE(excerpt.find("bytes left out"), std::string::npos);
  EXPECT_LT(excerpt.size(), OutputCapture::kHeadBytes + OutputCapture::kTailBytes + 100);
}

TEST(OutputCapture, ShortOutputIsKeptWhole) {
  OutputCapture capture;
  capture.Add("all of it", absl::ZeroDuration(), [](std::string_view) {});
  EXPECT_EQ(capture.Excerpt(), "all of it");
}

}  // namespace
}  // namespace sink::worker
