// Packing: the same bytes from the same input whatever the threads and the compression, EOS after every document, bad
// lines, completeness.
#include "model/data/packed/packer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/data/corpus/json_lines.h"
#include "model/data/packed/litpkds.h"
#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Gzip(const std::string& text) {
  std::string out(::compressBound(text.size()) + 64, '\0');
  z_stream stream = {};
  EXPECT_EQ(::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = text.size();
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = out.size();
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

std::string Zstd(const std::string& text) {
  std::string out(::ZSTD_compressBound(text.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

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
