// JSON lines and the reader of lines: what is text, and hostile input.
#include "model/data/corpus/json_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "model/data/corpus/line_reader.h"
#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::HasSubstr;

std::string Nested(int depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(JsonLines, TextIsTakenFromTheTopLevelOnly) {
  EXPECT_EQ(ParseTextLine(R"({"text": "a\u00e9\ud83d\ude00\n"})").text, "aé😀\n");
  EXPECT_EQ(ParseTextLine(R"({"meta": {"text": "no", "x": [1, {"text": 2}]}, "text": "yes", "n": 1e300})").text, "yes");
  EXPECT_EQ(ParseTextLine(R"({"text": ""})").text, "");
  EXPECT_EQ(ParseTextLine(std::string("{\"text\": \"\\u0000\"}")).text, std::string(1, '\0'));
}

TEST(JsonLines, PrintedTextParsesBack) {
  const std::string text = "quote \" slash \\ tab \t nul " + std::string(1, '\0') + " é";
  EXPECT_EQ(ParseTextLine(PrintTextLine(text)).text, text);
}

TEST(JsonLines, HostileLinesGiveOneErrorEach) {
  const auto error = [](const std::string& line) {
    const TextResult result = ParseTextLine(line);
    EXPECT_FALSE(result.text);
    return result.error;
  };
  EXPECT_THAT(error(""), HasSubstr("not JSON"));
  EXPECT_THAT(error("{\"text\": \"a\"} x"), HasSubstr("not JSON at byte"));
  EXPECT_THAT(error("{\"text\": \"\xff\"}"), HasSubstr("not JSON at byte"));
  EXPECT_THAT(error(R"({"text": "\ud800"})"), HasSubstr("not JSON at byte"));
  EXPECT_THAT(error(R"({"text": "a", "n": 1e999})"), HasSubstr("not JSON at byte"));
  EXPECT_THAT(error("\"text\""), HasSubstr("not a JSON object"));
  EXPECT_THAT(error("[{\"text\": \"a\"}]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error("{}"), HasSubstr("no field \"text\""));
  EXPECT_THAT(error(R"({"text": ["a"]})"), HasSubstr("not a string"));
  EXPECT_THAT(error(R"({"text": null})"), HasSubstr("not a string"));
  EXPECT_THAT(error(R"({"text": "a", "text": "b"})"), HasSubstr("twice"));
  EXPECT_THAT(error("{\"a\": " + Nested(64) + ", \"text\": \"a\"}"), HasSubstr("nested more than 64"));
  EXPECT_THAT(error("{\"a\": " + std::string(1'000'000, '[')), HasSubstr("nested more than 64"));
  EXPECT_EQ(ParseTextLine("{\"a\": " + Nested(63) + ", \"text\": \"a\"}").text, "a");
}

TEST(LineReader, CountsLinesOfEveryEnding) {
  testing::TempDir dir;
  WriteText(dir / "a.txt", "one\r\n\nthree");
  LineReader reader(dir / "a.txt");
  std::string line;
  ASSERT_TRUE(reader.Next(&line));
  EXPECT_EQ(line, "one");
  ASSERT_TRUE(reader.Next(&line));
  EXPECT_EQ(line, "");
  ASSERT_TRUE(reader.Next(&line));
  EXPECT_EQ(line, "three");
  EXPECT_EQ(reader.line_number(), 3);
  EXPECT_FALSE(reader.Next(&line));
}

TEST(LineReader, OverlongLineIsSkippedNotKept) {
  testing::TempDir dir;
  WriteText(dir / "a.txt", std::string(kMaxLineBytes + 1, 'x') + "\nnext\n");
  LineReader reader(dir / "a.txt");
  std::string line;
  ASSERT_TRUE(reader.Next(&line));
  EXPECT_TRUE(reader.too_long());
  EXPECT_EQ(line, "");
  ASSERT_TRUE(reader.Next(&line));
  EXPECT_FALSE(reader.too_long());
  EXPECT_EQ(line, "next");
}

TEST(LineReader, MissingFileIsNamed) {
  EXPECT_THAT(ErrorOf([] { LineReader("/nonexistent/a.jsonl"); }), HasSubstr("/nonexistent/a.jsonl: cannot open"));
}

}  // namespace
}  // namespace sink::data
