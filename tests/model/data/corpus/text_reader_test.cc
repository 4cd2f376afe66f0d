// Texts of a file one after another: blank lines, lines without a text, files without one, and the field's name.
#include "model/data/corpus/text_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TextReaderTest : public ::testing::Test {
 protected:
  std::vector<std::string> Read(const std::string& bytes, const std::string& key = kTextKey) {
    WriteText(dir_ / "a.jsonl", bytes);
    TextReader reader(dir_ / "a.jsonl", key);
    std::vector<std::string> texts;
    for (std::string text; reader.Next(&text);) texts.push_back(text);
    return texts;
  }
  std::string ErrorOfBytes(const std::string& bytes, const std::string& key = kTextKey) {
    return ErrorOf([&] { Read(bytes, key); });
  }

  testing::TempDir dir_;
};

TEST_F(TextReaderTest, BlankLinesHoldNothing) {
  EXPECT_THAT(Read("\n{\"text\": \"a\"}\n\r\n \t \n{\"text\": \"\"}\n\n{\"text\": \"b\"}"), ElementsAre("a", "", "b"));
}

TEST_F(TextReaderTest, LinesWithoutATextAreNamed) {
  EXPECT_THAT(ErrorOfBytes("{\"text\": \"a\"}\n\n[]\n"), HasSubstr("a.jsonl:3: not a JSON object"));
  EXPECT_THAT(ErrorOfBytes(std::string(kMaxLineBytes + 1, 'x')), HasSubstr("a.jsonl:1: longer than 64 MiB"));
}

TEST_F(TextReaderTest, LinesWithoutATextArePassedOverWhereTheyMayBe) {
  WriteText(dir_ / "a.jsonl", "1\n{\"text\": \"a\"}\n2\n");
  TextReader reader(dir_ / "a.jsonl");
  std::vector<std::string> bad;
  const auto note = [&](const std::string& why) { bad.push_back(why); };
  std::string text;
  EXPECT_TRUE(reader.Next(&text, note));
  EXPECT_FALSE(reader.Next(&text, note));
  EXPECT_THAT(bad, ElementsAre(HasSubstr("a.jsonl:1: not a JSON object"), HasSubstr("a.jsonl:3: not a JSON object")));
}

TEST_F(TextReaderTest, AFileWithoutATextIsAnError) {
  for (const char* bytes : {"", "\n", " \n\r\n"}) EXPECT_THAT(ErrorOfBytes(bytes), HasSubstr("a.jsonl: holds no text"));
}

TEST_F(TextReaderTest, TheFieldOfTheTextHasAnyName) {
  EXPECT_THAT(Read("{\"text\": 1, \"content\": \"a\", \"x\": {\"content\": 2}}\n", "content"), ElementsAre("a"));
  EXPECT_THAT(ErrorOfBytes("{\"text\": \"a\"}\n", "content"), HasSubstr("no field \"content\""));
  EXPECT_THAT(ErrorOfBytes("{\"content\": 3}\n", "content"), HasSubstr("the field \"content\" is not a string"));
}

}  // namespace
}  // namespace sink::data
