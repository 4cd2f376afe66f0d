// The sample corpus from small stand-ins of the two books.
#include "model/data/corpus/sample_corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SampleCorpus, DictionaryEntriesAreGroupedAndTheLicenceLeftOut) {
  const std::string long_entry = "Abacus \\Ab\"a*cus\\, n.\n" + std::string(5000, 'x') + "\n\n   2. A second sense.";
  const std::string text = "\n\n00-database-info\n   licence\n\nA \\a\\, n.\n   first\n\n" + long_entry +
                           "\n\nAbaft \\A*baft\"\\, adv.\n   last\n";
  EXPECT_THAT(SplitDictionary(text),
              ElementsAre("A \\a\\, n.\n   first\n\n" + long_entry, "Abaft \\A*baft\"\\, adv.\n   last"));
}

TEST(SampleCorpus, BibleChaptersLoseTheirReferences) {
  EXPECT_THAT(SplitBible("Ge1:1 In the beginning.\nGe1:2 And: the earth.\nGe2:1 Thus.\nnoise\n"),
              ElementsAre("In the beginning.\nAnd: the earth.", "Thus."));
}

TEST(SampleCorpus, EveryFiftiethDocumentIsHeldOutAndASecondRunDoesNothing) {
  testing::TempDir dir;
  std::string dictionary, verses;
  for (int i = 0; i < 100; ++i) {
    dictionary += "\nW" + std::to_string(i) + " \\w\\, n.\n" + std::string(4096, 'a') + "\n";
    verses += "Ge" + std::to_string(i) + ":1 Verse " + std::to_string(i) + ".\n";
  }
  WriteText(dir / "gcide.dict", dictionary);
  WriteText(dir / "bible", "#!/bin/sh\ncat <<'END'\n" + verses + "END\n");
  std::filesystem::permissions(dir / "bible", std::filesystem::perms::owner_all);
  const SampleCorpusOptions options = {
      .out = dir / "out", .dictionary = dir / "gcide.dict", .bible_program = dir / "bible"};
  const SampleCorpusResult first = MakeSampleCorpus(options);
  EXPECT_FALSE(first.already_complete);
  EXPECT_EQ(first.documents.at("train/gcide"), 98);
  EXPECT_EQ(first.documents.at("valid/bible"), 2);
  EXPECT_EQ(ReadText(dir / "out/valid/bible.jsonl"), "{\"text\":\"Verse 49.\"}\n{\"text\":\"Verse 99.\"}\n");
  const SampleCorpusResult second = MakeSampleCorpus(options);
  EXPECT_TRUE(second.already_complete);
  EXPECT_EQ(second.documents, first.documents);
}

TEST(SampleCorpus, MissingBooksNameTheirPackages) {
  testing::TempDir dir;
  SampleCorpusOptions options = {.out = dir / "out", .dictionary = dir / "none", .bible_program = dir / "none"};
  EXPECT_THAT(ErrorOf([&] { MakeSampleCorpus(options); }), HasSubstr("apt-get install dict-gcide"));
  WriteText(dir / "gcide.dict", "A \\a\\, n.\n   first\n");
  options.dictionary = dir / "gcide.dict";
  EXPECT_THAT(ErrorOf([&] { MakeSampleCorpus(options); }), HasSubstr("apt-get install bible-kjv bible-kjv-text"));
  EXPECT_FALSE(std::filesystem::exists(dir / "out"));
}

}  // namespace
}  // namespace sink::data
