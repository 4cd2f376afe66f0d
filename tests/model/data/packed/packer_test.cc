// Packing: the same bytes from the same input whatever the threads and the compression, EOS after every document, bad
// lines, completeness.
#include "model/data/packed/packer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/data/corpus/json_lines.h"
#include "model/data/packed/litpkds.h"
#include "proto/files/hash.h"
#include "proto/run/set_hashes.h"
#include "tests/model/helpers/compressed.h"
#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::map<std::string, std::string> FilesOf(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files[entry.path().filename().string()] = ReadText(entry.path());
  }
  return files;
}

class PackerTest : public ::testing::Test {
 protected:
  PackerTest() {
    for (int i = 0; i < 100; ++i) many_ += PrintTextLine("document " + std::to_string(i) + " é") + "\n";
    WriteText(dir_ / "in/train/a.jsonl", many_);
    WriteText(dir_ / "in/valid/a.jsonl", PrintTextLine("held out text of a corpus") + "\n");
    options_.in = dir_ / "in";
    options_.out = dir_ / "out";
    options_.block = 17;
    options_.chunk_blocks = 4;
    options_.valid_chunk_blocks = 2;
    options_.warn = [this](const std::string& sentence) { warnings_.push_back(sentence); };
  }

  std::string Error() {
    return ErrorOf([&] { Pack(options_); });
  }

  testing::TempDir dir_;
  std::string many_;
  PackOptions options_;
  std::vector<std::string> warnings_;
};

TEST_F(PackerTest, DocumentsAreConcatenatedEachWithItsEos) {
  const PackResult result = Pack(options_);
  std::vector<int32_t> expected;
  for (int i = 0; i < 100; ++i) {
    for (const unsigned char c : "document " + std::to_string(i) + " é") expected.push_back(c);
    expected.push_back(256);
  }
  EXPECT_EQ(result.set.sources[0].tokens, static_cast<int64_t>(expected.size()));
  std::vector<int32_t> got;
  int64_t blocks = 0;
  for (const SetFile& file : result.set.files) {
    if (file.split != "train") continue;
    const PackedFile packed(options_.out / file.name);
    EXPECT_EQ(packed.header().tokens, 17 * 4);  // the last one too
    std::vector<int32_t> tokens(packed.header().tokens);
    packed.Read(0, tokens);
    got.insert(got.end(), tokens.begin(), tokens.end());
    blocks += file.blocks;
  }
  EXPECT_EQ(blocks, static_cast<int64_t>(expected.size()) / 17);
  ASSERT_GT(got.size(), expected.size());
  expected.resize(got.size(), 256);
  EXPECT_EQ(got, expected);
}

TEST_F(PackerTest, ThreadsDoNotChangeTheOutput) {
  Pack(options_);
  options_.out = dir_ / "threads";
  options_.threads = 3;
  Pack(options_);
  EXPECT_EQ(FilesOf(dir_ / "out"), FilesOf(dir_ / "threads"));
}

TEST_F(PackerTest, CompressionDoesNotChangeThePackedFiles) {
  Pack(options_);
  std::filesystem::remove(dir_ / "in/train/a.jsonl");
  const auto packed_from = [&](const std::string& name, const std::string& bytes) {
    WriteText(dir_ / ("in/train/" + name), bytes);
    options_.out = dir_ / "compressed";
    std::filesystem::remove_all(options_.out);
    Pack(options_);
    std::filesystem::remove(dir_ / ("in/train/" + name));
    std::map<std::string, std::string> files = FilesOf(options_.out);
    files.erase(kSetFileName);  // names its sources
    return files;
  };
  std::map<std::string, std::string> plain = FilesOf(dir_ / "out");
  plain.erase(kSetFileName);
  EXPECT_EQ(packed_from("a.jsonl.gz", Gzip(many_)), plain);
  EXPECT_EQ(packed_from("a.jsonl.zst", Zstd(many_)), plain);
  EXPECT_EQ(packed_from("a.jsonl.zst", Zstd(many_.substr(0, 500)) + Zstd(many_.substr(500))), plain);  // two frames
}

TEST_F(PackerTest, TruncatedCompressedFilesAreRefused) {
  const std::string gz = Gzip(many_), zst = Zstd(many_);
  std::filesystem::remove(dir_ / "in/train/a.jsonl");
  WriteText(dir_ / "in/train/a.jsonl.gz", gz.substr(0, gz.size() / 2));
  EXPECT_THAT(Error(), AllOf(HasSubstr("a.jsonl.gz"), HasSubstr("truncated")));
  std::filesystem::remove(dir_ / "in/train/a.jsonl.gz");
  WriteText(dir_ / "in/train/a.jsonl.zst", zst.substr(0, zst.size() / 2));
  EXPECT_THAT(Error(), AllOf(HasSubstr("a.jsonl.zst"), HasSubstr("truncated")));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out.partial"));
}

TEST_F(PackerTest, BadLinesAreSkippedAndNamed) {
  WriteText(dir_ / "in/train/a.jsonl", "{\"text\": 1}\n\n" + many_ + "{\"text\": \"cut\n");
  const PackResult result = Pack(options_);
  EXPECT_EQ(result.set.sources[0].bad_lines, 2);
  EXPECT_EQ(result.set.sources[0].documents, 100);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("a.jsonl:1: the field \"text\" is not a string"),
                                     HasSubstr("a.jsonl:103: not JSON")));
}

TEST_F(PackerTest, TooManyBadLinesStopWithoutOutput) {
  WriteText(dir_ / "in/train/a.jsonl", many_ + "bad\nbad\n");
  options_.max_bad_lines = 1;
  EXPECT_THAT(Error(), AllOf(HasSubstr("a.jsonl:102"), HasSubstr("--max-bad-lines")));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out"));
}

TEST_F(PackerTest, CompleteSetIsLeftAlone) {
  EXPECT_FALSE(Pack(options_).already_complete);
  const auto before = std::filesystem::last_write_time(dir_ / "out/set.json");
  EXPECT_TRUE(Pack(options_).already_complete);
  EXPECT_EQ(std::filesystem::last_write_time(dir_ / "out/set.json"), before);
}

TEST_F(PackerTest, AnotherSetIsNotOverwritten) {
  Pack(options_);
  options_.block = 33;
  EXPECT_THAT(Error(), HasSubstr("other block or chunk sizes; remove it or choose another --out"));
  options_.block = 17;
  WriteText(dir_ / "in/train/a.jsonl", many_ + many_);
  EXPECT_THAT(Error(), HasSubstr("other source files"));
  WriteText(dir_ / "in/train/a.jsonl", many_);
  std::filesystem::resize_file(dir_ / "out/valid_a_0_0000000000.bin", 30);
  EXPECT_THAT(Error(), HasSubstr("valid_a_0_0000000000.bin: truncated"));
}

TEST_F(PackerTest, AnEditThatKeepsSizeAndTimeIsSeen) {
  const std::filesystem::path source = dir_ / "in/train/a.jsonl";
  Pack(options_);
  const auto time = std::filesystem::last_write_time(source);
  std::string edited = many_;
  edited.replace(edited.find("document"), 8, "DOCUMENT");
  WriteText(source, edited);
  std::filesystem::last_write_time(source, time);
  EXPECT_THAT(Error(), AllOf(HasSubstr("already holds a set packed with another content of " + source.string()),
                             HasSubstr("remove it or choose another --out")));
  WriteText(source, many_);  // a new time alone changes nothing
  EXPECT_TRUE(Pack(options_).already_complete);
}

TEST_F(PackerTest, AnEditBetweenTwoRunsIsSeenInWhatTheFirstLeft) {
  const std::filesystem::path source = dir_ / "in/train/a.jsonl";
  WriteText(dir_ / "in/valid/a.jsonl", "bad\n");
  EXPECT_NE(Error(), "");
  ASSERT_TRUE(std::filesystem::exists(dir_ / "out.partial/train_a.jsonl.done"));
  const auto time = std::filesystem::last_write_time(source);
  std::string edited = many_;
  edited.replace(edited.find("document"), 8, "DOCUMENT");
  WriteText(source, edited);
  std::filesystem::last_write_time(source, time);
  WriteText(dir_ / "in/valid/a.jsonl", PrintTextLine("held out text of a corpus") + "\n");
  Pack(options_);
  options_.out = dir_ / "fresh";
  Pack(options_);
  EXPECT_EQ(FilesOf(dir_ / "out"), FilesOf(dir_ / "fresh"));
}

TEST_F(PackerTest, AFileThatComesBetweenTwoRunsTakesThePlaceOfNone) {
  std::filesystem::rename(dir_ / "in/train/a.jsonl", dir_ / "in/train/a.2.jsonl");
  WriteText(dir_ / "in/valid/a.jsonl", "bad\n");
  EXPECT_NE(Error(), "");
  ASSERT_TRUE(std::filesystem::exists(dir_ / "out.partial/train_a.2.jsonl.done"));
  WriteText(dir_ / "in/train/a.1.jsonl", PrintTextLine("comes before the other one, of the same domain") + "\n");
  WriteText(dir_ / "in/valid/a.jsonl", PrintTextLine("held out text of a corpus") + "\n");
  Pack(options_);
  options_.out = dir_ / "fresh";
  Pack(options_);
  EXPECT_EQ(FilesOf(dir_ / "out"), FilesOf(dir_ / "fresh"));
}

TEST_F(PackerTest, ARunThatGoesOnGivesTheSameSet) {
  WriteText(dir_ / "in/valid/a.jsonl", "bad\n");
  EXPECT_NE(Error(), "");
  ASSERT_TRUE(std::filesystem::exists(dir_ / "out.partial/train_a.jsonl.done"));
  WriteText(dir_ / "in/valid/a.jsonl", PrintTextLine("held out text of a corpus") + "\n");
  Pack(options_);
  options_.out = dir_ / "fresh";
  Pack(options_);
  EXPECT_EQ(FilesOf(dir_ / "out"), FilesOf(dir_ / "fresh")) << "the hashes too";
}

TEST_F(PackerTest, SourcesAreKnownByTheirHashes) {
  Pack(options_);
  const std::string set = ReadText(dir_ / "out/set.json");
  EXPECT_THAT(set, HasSubstr("\"xxh3\": \"" + files::Hash(many_) + "\""));
  EXPECT_EQ(PrintSet(ParseSet(set, "set.json")), set);
}

TEST_F(PackerTest, EveryFileHasItsHashBesideSetJson) {
  Pack(options_);
  const auto hashes = run::ReadSetHashes(options_.out);
  ASSERT_TRUE(hashes.ok()) << hashes.error().message();
  const PackedSet set = OpenSet(options_.out);
  ASSERT_EQ(hashes->size(), set.files.size());
  for (const SetFile& file : set.files) {
    EXPECT_EQ(hashes->at(file.name), files::Hash(ReadText(options_.out / file.name))) << file.name;
  }
  EXPECT_THAT(ReadText(options_.out / kSetFileName), Not(HasSubstr(hashes->begin()->second)))
      << "set.json, whose bytes are the fingerprint, is as older versions write it";
}

TEST_F(PackerTest, ASetOfWhichAFileIsNotWhatWasPackedIsNotComplete) {
  Pack(options_);
  const std::filesystem::path file = options_.out / "train_a_0_0000000000.bin";
  std::string bytes = ReadText(file);
  bytes.back() ^= 1;
  WriteText(file, bytes);
  EXPECT_THAT(Error(), AllOf(HasSubstr(file.string() + " has the right size and other bytes"), HasSubstr("remove it")));
}

TEST_F(PackerTest, ASetOfAnOlderVersionIsReadAndJudgedByTimesWithAWarning) {
  Pack(options_);
  const std::filesystem::path file = dir_ / "out/set.json", source = dir_ / "in/train/a.jsonl";
  PackedSet set = ParseSet(ReadText(file), "set.json");
  for (SetSource& each : set.sources) each.xxh3.clear();
  WriteText(file, PrintSet(set));
  EXPECT_EQ(ReadText(file).find("xxh3"), std::string::npos);
  EXPECT_TRUE(Pack(options_).already_complete);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("kept no hashes of its sources")));
  std::filesystem::last_write_time(source, std::filesystem::last_write_time(file) + std::chrono::seconds(1));
  EXPECT_THAT(Error(), HasSubstr("another content of " + source.string()));
}

TEST_F(PackerTest, WithoutTheTailEveryFileIsFullOfText) {
  options_.valid_chunk_blocks = 1;  // as there is but one block
  Pack(options_);
  const auto padded = FilesOf(dir_ / "out");
  options_.out = dir_ / "full";
  options_.drop_tail = true;
  const PackResult result = Pack(options_);
  int64_t blocks = 0;
  for (const SetFile& file : result.set.files) {
    EXPECT_EQ(file.blocks, file.split == "train" ? 4 : 1);
    EXPECT_EQ(ReadText(options_.out / file.name), padded.at(file.name)) << "full files are the same";
    blocks += file.blocks;
  }
  EXPECT_LT(blocks * 17, result.set.sources[0].tokens);
  EXPECT_TRUE(OpenSet(options_.out).drop_tail);
  options_.drop_tail = false;
  EXPECT_THAT(Error(), HasSubstr("already holds a set packed with --drop-tail"));
  options_.out = dir_ / "none";
  options_.drop_tail = true;
  options_.chunk_blocks = 1000;
  EXPECT_THAT(Error(),
              AllOf(HasSubstr("in/train: every file holds less than one whole chunk"), HasSubstr("--chunk-blocks")));
}

TEST_F(PackerTest, AShortNameStandsBeforeEveryDomain) {
  options_.short_name = "the_pile";
  const PackResult result = Pack(options_);
  for (const SetFile& file : result.set.files) EXPECT_EQ(file.domain, "the_pile_a");
  EXPECT_EQ(result.set.files[0].name, "train_the_pile_a_0_0000000000.bin");
  EXPECT_TRUE(Pack(options_).already_complete);
  options_.short_name = "";
  EXPECT_THAT(Error(), HasSubstr("already holds a set packed with other names of domains"));
  options_.short_name = "a/b";
  EXPECT_THAT(Error(), HasSubstr("\"a/b_a\" cannot be a domain"));
}

TEST_F(PackerTest, LeftoversOfAKilledRunAreCleared) {
  WriteText(dir_ / "out.partial/train_a_0_0000009999.bin", "half");
  Pack(options_);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out.partial"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out/train_a_0_0000009999.bin"));
}

TEST_F(PackerTest, ForeignFolderIsNotTouched) {
  WriteText(dir_ / "out/thesis.txt", "precious");
  EXPECT_THAT(Error(), HasSubstr("remove it or choose another --out"));
  EXPECT_EQ(ReadText(dir_ / "out/thesis.txt"), "precious");
}

TEST_F(PackerTest, UnfittingCorporaAreRefused) {
  WriteText(dir_ / "in/train/b c.jsonl", many_);
  EXPECT_THAT(Error(), HasSubstr("b c.jsonl: a file's name"));
  std::filesystem::remove(dir_ / "in/train/b c.jsonl");
  WriteText(dir_ / "in/valid/a.jsonl", PrintTextLine("short"));
  EXPECT_THAT(Error(), HasSubstr("less than one block of 17"));
  std::filesystem::remove_all(dir_ / "in/valid");
  EXPECT_THAT(Error(), AllOf(HasSubstr("in/valid"), HasSubstr("no *.jsonl")));
  options_.block = 1;
  EXPECT_THAT(Error(), HasSubstr("block"));
}

TEST(SetFileNames, DomainsAreNamedWithTheirShardsTogether) {
  EXPECT_EQ(WithoutShard("arxiv-12"), "arxiv");
  for (const char* whole : {"arxiv", "arxiv-", "-1", "arxiv-x", "arxiv_1", "arxiv-1a"}) {
    EXPECT_EQ(WithoutShard(whole), whole);
  }
  PackedSet set;
  for (const char* domain : {"b", "arxiv-1", "arxiv-1", "arxiv-2", "c-7"}) {
    set.files.push_back({.split = "train", .domain = domain});
  }
  set.files.push_back({.split = "valid", .domain = "d"});
  EXPECT_EQ(DomainsText(set, "train"), "arxiv (2 shards), b, c-7");
}

TEST(SetFile, TokenizersOutsideTheFolderAreRefused) {
  PackedSet set = {.tokenizer = SetTokenizer{.vocab_size = 300}};
  for (const char* good : {"bytes", "tokenizer.json", "tokenizer.model"}) {
    set.tokenizer->name = good;
    EXPECT_EQ(ParseSet(PrintSet(set), "set.json").tokenizer, set.tokenizer);
  }
  for (const char* bad : {"../tokenizer.json", "/etc/tokenizer.json", "config.json", "vocab.json", ""}) {
    set.tokenizer->name = bad;
    EXPECT_THAT(ErrorOf([&] { ParseSet(PrintSet(set), "set.json"); }),
                HasSubstr(std::string("set.json: \"") + bad + "\" is not the name"))
        << bad;
  }
}

TEST(SetFileNames, RoundTripWithUnderscoresInTheDomain) {
  const std::string name = SetFileName("train", "pile_cc", 3, 12);
  EXPECT_EQ(name, "train_pile_cc_3_0000000012.bin");
  const auto file = ParseSetFileName(name);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->split, "train");
  EXPECT_EQ(file->domain, "pile_cc");
  for (const char* bad : {"train_a_0_1.txt", "train_0_1.bin", "test_a_0_1.bin", "train_a_x_1.bin", "../train_a_0_1.bin",
                          "train_../x_0_1.bin", "train__0_1.bin", ".bin", ""}) {
    EXPECT_FALSE(ParseSetFileName(bad)) << bad;
  }
}

}  // namespace
}  // namespace sink::data
