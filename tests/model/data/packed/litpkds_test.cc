// Packed files: the exact bytes, an independent reader, and damage of every kind.
#include "model/data/packed/litpkds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <numeric>
#include <vector>

#include "model/base/data_error.h"
#include "model/data/packed/packed_set.h"
#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<int32_t> kTokens = {0, 1, 255, 256, 65535, 7};

// Reads a file as TinyLlama's script does, sharing nothing with litpkds.cc.
std::vector<int64_t> ReadIndependently(const std::string& bytes) {
  const auto number = [&](size_t at, int size) {
    uint64_t value = 0;
    for (int i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
  };
  EXPECT_EQ(bytes.substr(0, 7), "LITPKDS");
  EXPECT_EQ(number(7, 8), 1u);
  const int size = number(15, 1) == 8 ? 2 : 4;
  std::vector<int64_t> tokens;
  for (uint64_t i = 0; i < number(16, 8); ++i) tokens.push_back(number(24 + i * size, size));
  EXPECT_EQ(bytes.size(), 24 + tokens.size() * size);
  return tokens;
}

TEST(Litpkds, HeaderBytesAreExact) {
  const std::string header = EncodePackedHeader({.type = TokenType::kUint16, .tokens = 2049 * 256});
  EXPECT_EQ(header, std::string("LITPKDS\x01\0\0\0\0\0\0\0\x08\x00\x01\x08\0\0\0\0\0", 24));
}

TEST(Litpkds, IndependentReaderSeesWhatWasWritten) {
  testing::TempDir dir;
  for (const TokenType type : {TokenType::kUint16, TokenType::kInt32}) {
    WritePackedFile(dir / "a.bin", type, kTokens);
    EXPECT_EQ(ReadIndependently(ReadText(dir / "a.bin")), std::vector<int64_t>(kTokens.begin(), kTokens.end()));
  }
}

TEST(Litpkds, MappedFileReadsAnyRange) {
  testing::TempDir dir;
  for (const TokenType type : {TokenType::kUint16, TokenType::kInt32}) {
    WritePackedFile(dir / "a.bin", type, kTokens);
    const PackedFile file(dir / "a.bin");
    EXPECT_EQ(file.header().tokens, 6);
    std::vector<int32_t> middle(3);
    file.Read(2, middle);
    EXPECT_EQ(middle, (std::vector<int32_t>{255, 256, 65535}));
  }
}

TEST(Litpkds, SmallVocabulariesUseUint16) {
  EXPECT_EQ(TokenTypeFor(50432), TokenType::kUint16);
  EXPECT_EQ(TokenTypeFor(65499), TokenType::kUint16);
  EXPECT_EQ(TokenTypeFor(65500), TokenType::kInt32);
}

TEST(Litpkds, WritingLeavesNoTemporaryFile) {
  testing::TempDir dir;
  WritePackedFile(dir / "a.bin", TokenType::kUint16, kTokens);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(Litpkds, EveryTruncationIsRefusedByName) {
  testing::TempDir dir;
  WritePackedFile(dir / "whole.bin", TokenType::kUint16, kTokens);
  const std::string whole = ReadText(dir / "whole.bin");
  for (size_t size = 0; size < whole.size(); ++size) {
    WriteText(dir / "cut.bin", whole.substr(0, size));
    EXPECT_THROW(PackedFile(dir / "cut.bin"), MachineError) << "another machine's copy may be whole";
    EXPECT_THAT(ErrorOf([&] { PackedFile(dir / "cut.bin"); }),
                AllOf(HasSubstr("cut.bin"), HasSubstr("re-run sink-data pack")))
        << size;
  }
  WriteText(dir / "long.bin", whole + "x");
  EXPECT_THAT(ErrorOf([&] { PackedFile(dir / "long.bin"); }), HasSubstr("too long"));
}

// The memory of a process begins with a page that nothing can read.
TEST(Litpkds, AFileThatIsMissingOrCannotBeReadIsTheMachinesFault) {
  testing::TempDir dir;
  std::filesystem::create_symlink("/proc/self/mem", dir / "a.bin");
  EXPECT_THROW(PackedFile(dir / "a.bin"), MachineError);
  EXPECT_THAT(ErrorOf([&] { PackedFile(dir / "a.bin"); }), HasSubstr("a.bin: cannot read: Input/output error"));
  std::filesystem::create_symlink("/proc/self/mem", dir / kSetFileName);
  EXPECT_THROW(OpenSet(dir.path()), MachineError);
  EXPECT_THROW(PackedFile(dir / "b.bin"), MachineError);
  EXPECT_THAT(ErrorOf([&] { PackedFile(dir / "b.bin"); }),
              HasSubstr("b.bin: cannot open: No such file or directory; copy the set anew"));
}

TEST(Litpkds, ForeignHeadersAreRefused) {
  testing::TempDir dir;
  WritePackedFile(dir / "whole.bin", TokenType::kUint16, kTokens);
  const std::string whole = ReadText(dir / "whole.bin");
  const auto error_with = [&](size_t at, char byte) {
    std::string bytes = whole;
    bytes[at] = byte;
    WriteText(dir / "bad.bin", bytes);
    return ErrorOf([&] { PackedFile(dir / "bad.bin"); });
  };
  EXPECT_THAT(error_with(0, 'X'), HasSubstr("magic"));
  EXPECT_THAT(error_with(7, 2), HasSubstr("version 2"));
  EXPECT_THAT(error_with(15, 7), HasSubstr("type 7"));
  EXPECT_THAT(error_with(16, 0), HasSubstr("chunk of 0 tokens"));
  EXPECT_THAT(error_with(23, '\xff'), HasSubstr("not plausible"));  // times two, it would overflow
  EXPECT_THAT(error_with(16, 7), HasSubstr("truncated"));
  EXPECT_THAT(ErrorOf([&] { PackedFile(dir / "none.bin"); }), HasSubstr("none.bin: cannot open"));
  EXPECT_THAT(ErrorOf([&] { PackedFile(dir.path()); }), HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo((dir / "pipe.bin").c_str(), 0600), 0);
  EXPECT_THAT(ErrorOf([&] { PackedFile(dir / "pipe.bin"); }), HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace sink::data
