// Hostile corpora: names that would lead elsewhere, things that are no files, and text that is no JSON lines. Each
// gives a named error or a counted bad line, in bounded time and memory. The single lines are in json_lines_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "model/data/corpus/json_lines.h"
#include "model/data/corpus/line_reader.h"
#include "model/data/packed/packer.h"
#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class BadCorpusTest : public ::testing::Test {
 protected:
  BadCorpusTest() {
    WriteText(dir_ / "in/train/a.jsonl", good_);
    WriteText(dir_ / "in/valid/a.jsonl", good_);
    options_ = {.in = dir_ / "in", .out = dir_ / "out", .block = 9, .chunk_blocks = 2, .valid_chunk_blocks = 2};
    options_.warn = [this](const std::string& sentence) { warnings_.push_back(sentence); };
  }

  // Packs a training file of these bytes; the number of bad lines.
  int64_t BadLinesOf(const std::string& bytes) {
    fs::remove_all(options_.out);
    WriteText(dir_ / "in/train/a.jsonl", bytes);
    return Pack(options_).set.sources[0].bad_lines;
  }

  const std::string good_ = PrintTextLine("a text of more than one block") + "\n";
  testing::TempDir dir_;
  PackOptions options_;
  std::vector<std::string> warnings_;
};

TEST_F(BadCorpusTest, NamesThatAreNoDomainsAreRefused) {
  const std::string names[] = {"..",        "..\\x",     "%2e%2e%2f", "a b", "a\nb",  "\x1b[2J",           "é",
                               "\u202ecod", "$(reboot)", "a;b",       "",    "-rf x", std::string(65, 'x')};
  for (const std::string& name : names) {
    const fs::path path = dir_ / ("in/train/" + name + ".jsonl");
    WriteText(path, good_);
    EXPECT_THAT(ErrorOf([&] { Pack(options_); }), HasSubstr("becomes its domain")) << name;
    fs::remove(path);
  }
  EXPECT_EQ(ErrorOf([&] { Pack(options_); }), "");
}

TEST_F(BadCorpusTest, WhatIsNoRegularFileIsPassedOverWhenItIsToBeIgnored) {
  fs::create_directories(dir_ / "in/train/folder.jsonl");
  ASSERT_EQ(::mkfifo((dir_ / "in/train/pipe.jsonl").c_str(), 0600), 0);  // opening it would wait for ever
  fs::create_symlink("/nonexistent", dir_ / "in/train/broken.jsonl");
  fs::create_symlink("/dev/zero", dir_ / "in/train/endless.jsonl");
  EXPECT_THAT(ErrorOf([&] { Pack(options_); }), HasSubstr("broken.jsonl, endless.jsonl, folder.jsonl/, pipe.jsonl"));
  options_.corpus.ignore_others = true;
  EXPECT_EQ(Pack(options_).set.sources.size(), 2u);
}

TEST_F(BadCorpusTest, BytesThatAreNoJsonLinesAreCountedAndNamed) {
  EXPECT_EQ(BadLinesOf(good_ + "\xff\xfe{\n" + good_), 1);  // UTF-16
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("a.jsonl:2: not JSON at byte 1")));
  EXPECT_EQ(BadLinesOf(good_ + std::string(3, '\0') + "\n" + good_), 1);
  EXPECT_EQ(BadLinesOf(good_ + "{\"text\":\n\"split over lines\"}\n"), 2);
  EXPECT_EQ(BadLinesOf(good_ + "{\"text\": \"raw \x01 control\"}\n"), 1);
  EXPECT_EQ(BadLinesOf(good_ + "{\"text\": \"overlong \xc0\xaf\"}\n"), 1);
  EXPECT_EQ(BadLinesOf(good_ + "{\"text\": \"surrogate \xed\xa0\x80\"}\n"), 1);
  EXPECT_EQ(BadLinesOf(good_ + "{\"text\": \"\\udc00\"}\n"), 1);
  EXPECT_EQ(BadLinesOf(good_ + "{\"text\": \"a\"}{\"text\": \"b\"}\n"), 1);
  EXPECT_EQ(BadLinesOf(good_ + "{\"text\": \"a\", }\n"), 1);
  EXPECT_EQ(BadLinesOf(good_ + "{\"Text\": \"a\"}\n{\"text \": \"a\"}\n"), 2);
  EXPECT_EQ(BadLinesOf(good_ + "{\"text\": NaN}\n{\"text\": \"a\", \"n\": 1e999}\n"), 2);
  EXPECT_EQ(BadLinesOf(good_ + "{\"text\": \"a\", \"x\": " + std::string(1 << 20, '[') + "\n"), 1);
  EXPECT_EQ(BadLinesOf(good_ + "{\"text\": \"cut off"), 1);
}

TEST_F(BadCorpusTest, OddButLegalFilesAreRead) {
  EXPECT_EQ(BadLinesOf("\xef\xbb\xbf" + good_), 0);                        // a byte order mark
  EXPECT_EQ(BadLinesOf("\n\r\n" + good_.substr(0, good_.size() - 1)), 0);  // empty lines, no newline at the end
  EXPECT_EQ(BadLinesOf(" \t\n" + good_ + "  "), 0);                        // blank ones
  EXPECT_EQ(BadLinesOf("{\"text\": \"\"}\n{\"text\": \"\\u0000\"}\n" + good_), 0);
  EXPECT_EQ(BadLinesOf("  {\"meta\": {\"text\": 1}, \"text\": \"<|endoftext|> in a text\"}  \r\n"), 0);
}

TEST_F(BadCorpusTest, AFileWithoutOneGoodLineIsRefused) {
  for (const char* bytes : {"", "\n\n\n", "bad\nbad\n", "{\"content\": \"a text\"}\n", "[\n{\"text\": \"a\"},\n]"}) {
    WriteText(dir_ / "in/train/b.jsonl", bytes);
    EXPECT_THAT(ErrorOf([&] { Pack(options_); }), HasSubstr("b.jsonl: holds no text")) << bytes;
    EXPECT_FALSE(fs::exists(options_.out));
  }
}

TEST_F(BadCorpusTest, TheTextsFieldHasTheNameThatIsGiven) {
  const std::string line = "{\"text\": \"no\", \"content\": \"a text of more than one block\"}\n";
  WriteText(dir_ / "in/train/a.jsonl", line);
  WriteText(dir_ / "in/valid/a.jsonl", line);
  options_.corpus.text_key = "content";
  const PackResult result = Pack(options_);
  EXPECT_EQ(result.set.sources[0].tokens, 30);
  EXPECT_EQ(OpenSet(options_.out).text_key, "content");
  options_.corpus.text_key = "text";
  EXPECT_THAT(ErrorOf([&] { Pack(options_); }), HasSubstr("already holds a set packed with --text-key content"));
}

TEST_F(BadCorpusTest, DecompressionBombsCostNoMemory) {
  gzFile file = ::gzopen((dir_ / "in/train/bomb.jsonl.gz").c_str(), "wb9");
  ::gzwrite(file, good_.data(), good_.size());
  const std::string zeros(1 << 20, '0');
  for (int i = 0; i < 200; ++i) ::gzwrite(file, zeros.data(), zeros.size());  // one line of 200 MiB in 200 kB
  ::gzclose(file);
  EXPECT_EQ(Pack(options_).set.sources[1].bad_lines, 1);
  EXPECT_THAT(warnings_[0], HasSubstr("bomb.jsonl.gz:2: longer than 64 MiB"));
}

TEST_F(BadCorpusTest, DamagedRecordsOfAnEarlierRunAreMadeAnew) {
  WriteText(dir_ / "in/train/b.jsonl", "bad\n" + good_);
  options_.max_bad_lines = 0;
  EXPECT_THAT(ErrorOf([&] { Pack(options_); }), HasSubstr("b.jsonl:1"));
  const fs::path done = dir_ / "out.partial/train_a.jsonl.done";
  ASSERT_TRUE(fs::exists(done));
  options_.max_bad_lines = 1;
  for (const char* damage : {"{", "", "[]", R"({"format": "sink/packed/v1"})"}) {
    WriteText(done, damage);
    fs::remove_all(options_.out);
    const PackResult result = Pack(options_);
    EXPECT_EQ(result.set.sources[0].documents, 1) << damage;
    fs::rename(options_.out, dir_ / "out.partial");
  }
}

}  // namespace
}  // namespace sink::data
