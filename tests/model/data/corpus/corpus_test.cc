// Which files a corpus has: every spelling of JSON lines is taken, and nothing else beside them goes unsaid.
#include "model/data/corpus/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class CorpusTest : public ::testing::Test {
 protected:
  void Add(const std::string& name) { WriteText(dir_ / ("train/" + name), "x"); }
  std::vector<std::string> Names(bool ignore_others = false) {
    std::vector<std::string> names;
    for (const CorpusFile& file : ListCorpus(dir_.path(), "train", {.ignore_others = ignore_others}))
      names.push_back(file.path.filename().string());
    return names;
  }
  std::string Error() {
    return ErrorOf([&] { Names(); });
  }

  testing::TempDir dir_;
};

TEST_F(CorpusTest, EverySpellingOfJsonLinesIsTaken) {
  const std::vector<std::string> names = {"A.JSONL",    "b.jsonl",    "c.jsonl.gz", "d.jsonl.zst",
                                          "e.ndjson",   "f.json.gz",  "g.json",     "h.x.Ndjson.GZ",
                                          "i.json.zst", "j.Json.Zst", "k-1.jsonl",  "k-2.jsonl"};
  for (const std::string& name : names) Add(name);
  EXPECT_EQ(Names(), names);
  EXPECT_EQ(ListCorpus(dir_.path(), "train")[0].domain, "A");
  EXPECT_EQ(ListCorpus(dir_.path(), "train")[7].domain, "h");
}

TEST_F(CorpusTest, WhatElseIsThereEndsWithItsNameUnlessItIsToBeIgnored) {
  Add("a.jsonl");
  for (const char* other :
       {"b.jsonl.xz", "c.jsonl.bz2", "d.parquet", "README.md", "e.txt", "jsonl", "f.jsonl.gz.part", "g.jsonl~"}) {
    Add(other);
    EXPECT_THAT(Error(),
                AllOf(HasSubstr("train: " + std::string(other) + " would not be read"), HasSubstr("--ignore-others")));
    EXPECT_THAT(Names(true), ElementsAre("a.jsonl"));
    std::filesystem::remove(dir_ / ("train/" + std::string(other)));
  }
  Add("sub/b.jsonl");
  EXPECT_THAT(Error(), HasSubstr("train: sub/ would not be read"));
  Add("folder.jsonl/c.jsonl");
  ASSERT_EQ(::mkfifo((dir_ / "train/fifo.jsonl").c_str(), 0600), 0);
  std::filesystem::create_symlink("/nonexistent", dir_ / "train/link.jsonl");
  EXPECT_THAT(Error(), HasSubstr("train: fifo.jsonl, folder.jsonl/, link.jsonl, sub/ would not be read"));
  EXPECT_THAT(Names(true), ElementsAre("a.jsonl"));
}

TEST_F(CorpusTest, OfManyOthersTheFirstAreNamed) {
  Add("a.jsonl");
  for (int i = 1; i <= 9; ++i) Add("b" + std::to_string(i) + ".txt");
  EXPECT_THAT(Error(), AllOf(HasSubstr("b1.txt, b2.txt, b3.txt, b4.txt, b5.txt and 4 more"), Not(HasSubstr("b6"))));
}

TEST_F(CorpusTest, WhereNothingCanBeReadWhatIsThereIsNamed) {
  Add("a.jsonl.xz");
  EXPECT_THAT(Error(), AllOf(HasSubstr("no *.jsonl"), HasSubstr("(but a.jsonl.xz)")));
  EXPECT_THAT(ErrorOf([&] { Names(true); }), HasSubstr("(but a.jsonl.xz)"));
}

TEST_F(CorpusTest, HiddenFilesAndLinksToFilesAreNoOthers) {
  Add("a.jsonl");
  Add(".DS_Store");
  Add(".cache/download.json");
  std::filesystem::create_symlink(dir_ / "train/a.jsonl", dir_ / "train/b.jsonl");
  EXPECT_THAT(Names(), ElementsAre("a.jsonl", "b.jsonl"));
}

}  // namespace
}  // namespace sink::data
