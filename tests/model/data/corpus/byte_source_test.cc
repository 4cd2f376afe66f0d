// What lies in a file is what is read, or there is an error that names file and byte: pipes, several members and
// frames, bytes between them, and every place where a file may be cut.
#include "model/data/corpus/byte_source.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>

#include "tests/model/helpers/compressed.h"
#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string ReadAll(ByteSource* source, size_t piece = 1 << 16) {
  std::string text, buffer(piece, '\0');
  while (const size_t n = source->Read(buffer.data(), buffer.size())) text.append(buffer, 0, n);
  EXPECT_EQ(source->Read(buffer.data(), buffer.size()), 0u);  // the end stays the end
  return text;
}

class ByteSourceTest : public ::testing::Test {
 protected:
  ByteSourceTest() {
    for (int i = 0; i < 20'000; ++i) text_ += "line " + std::to_string(i * 7919 % 10'007) + "\n";
  }

  std::string Read(const std::string& bytes, size_t piece = 1 << 16) {
    WriteText(dir_ / "file", bytes);
    return ReadAll(OpenByteSource(dir_ / "file").get(), piece);
  }
  // What comes of the bytes through a pipe, written in two parts.
  std::string ReadPiped(const std::string& bytes, size_t first) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    std::thread writer([&, fd = ends[1]] {
      EXPECT_EQ(::write(fd, bytes.data(), first), static_cast<ssize_t>(first));
      for (size_t done = first; done < bytes.size();) {
        const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
        ASSERT_GT(n, 0);
        done += n;
      }
      ::close(fd);
    });
    std::string text = ReadAll(OpenByteSource("/dev/fd/" + std::to_string(ends[0])).get());
    writer.join();
    ::close(ends[0]);
    return text;
  }
  std::string ErrorOfBytes(const std::string& bytes) {
    return ErrorOf([&] { Read(bytes); });
  }

  testing::TempDir dir_;
  std::string text_;
};

TEST_F(ByteSourceTest, AFrameThatHoldsLessThanItsHeaderSaysIsRefusedInWhateverPiecesItIsTaken) {
  // Written by hand after RFC 8878: the magic number, a content size of two bytes (0x0403 + 256), one last, empty
  // block.
  const std::string frame("\x28\xb5\x2f\xfd\x50\x4b\x03\x04\x01\x00\x00", 11);
  for (const size_t piece : {1u, 12u, 1u << 16})
    EXPECT_THAT(ErrorOf([&] { Read(frame, piece); }), HasSubstr("damaged zstd data")) << piece;
}

TEST_F(ByteSourceTest, APipeGivesItsFirstBytesToo) {
  for (const std::string& bytes : {text_, Gzip(text_), Zstd(text_), SkippableFrame("x") + Zstd(text_)}) {
    for (const size_t first : {1u, 5u, 4096u}) EXPECT_EQ(ReadPiped(bytes, first), text_) << first;
  }
  EXPECT_EQ(ReadPiped("a", 1), "a");
  EXPECT_EQ(ReadPiped("", 0), "");
}

TEST_F(ByteSourceTest, StandardInputIsReadFromWhereItStands) {
  WriteText(dir_ / "file", text_);
  const int saved = ::dup(STDIN_FILENO), file = ::open((dir_ / "file").c_str(), O_RDONLY);
  ASSERT_EQ(::lseek(file, 5, SEEK_SET), 5);
  ASSERT_EQ(::dup2(file, STDIN_FILENO), STDIN_FILENO);
  EXPECT_EQ(ReadAll(OpenByteSource("-").get()), text_.substr(5));
  ASSERT_EQ(::lseek(file, 7, SEEK_SET), 7);
  EXPECT_EQ(ReadAll(OpenByteSource("/dev/stdin").get()), text_.substr(7));
  ::dup2(saved, STDIN_FILENO);
  ::close(saved);
  ::close(file);
}

TEST_F(ByteSourceTest, PartsThatFollowEachOtherAreOneText) {
  const std::string a = text_.substr(0, 1000), b = text_.substr(1000);
  for (const size_t piece : {1u, 7u, 1u << 16}) {
    EXPECT_EQ(Read(Gzip(a) + Gzip(b), piece), text_);
    EXPECT_EQ(Read(Gzip("") + Gzip(a) + Gzip("") + Gzip(b) + Gzip(""), piece), text_);
    EXPECT_EQ(Read(Gzip(a) + std::string(512, '\0') + Gzip(b) + std::string(70'000, '\0'), piece), text_);
    EXPECT_EQ(Read(Zstd(a) + Zstd("") + Zstd(b), piece), text_);
  }
}

TEST_F(ByteSourceTest, SkippableFramesArePassedOverWhereverTheyStand) {
  const std::string a = text_.substr(0, 1000), b = text_.substr(1000), skip = SkippableFrame("four");
  EXPECT_EQ(Read(skip + Zstd(text_)), text_);
  EXPECT_EQ(Read(skip + Zstd(a) + skip + SkippableFrame("") + Zstd(b) + skip), text_);
  EXPECT_EQ(Read(SkippableFrame(std::string(300'000, 's')) + Zstd(text_)), text_);
  EXPECT_EQ(Read(skip), "");
}

TEST_F(ByteSourceTest, FramesOfLongDistanceMatchingAreRead) {
  // A frame with a window of 2 GiB, as `zstd --long=31` makes them, and one block of text as it is.
  const std::string block = {static_cast<char>(5 << 3 | 1), 0, 0};
  EXPECT_EQ(Read(std::string("\x28\xb5\x2f\xfd\0\xa8", 6) + block + "hello"), "hello");
}

TEST_F(ByteSourceTest, BytesThatBelongToNoPartAreAnErrorWithTheirPlace) {
  const std::string gz = Gzip(text_), zst = Zstd(text_);
  const auto at = [](const std::string& part) { return "at byte " + std::to_string(part.size()); };
  for (const std::string& foreign : {std::string("X"), std::string("\n"), std::string("{\"text\": \"more\"}\n"), zst}) {
    EXPECT_THAT(ErrorOfBytes(gz + foreign + gz),
                AllOf(HasSubstr(dir_ / "file: "), HasSubstr("not gzip data"), HasSubstr(at(gz))));
  }
  EXPECT_THAT(ErrorOfBytes(gz + std::string(3, '\0') + "X"), HasSubstr("at byte " + std::to_string(gz.size() + 3)));
  EXPECT_THAT(ErrorOfBytes(gz + "\x1f"), HasSubstr(at(gz)));
  for (const std::string& foreign : {std::string("X"), std::string("(\xb5\x2f"), std::string(8, '\0'), text_, gz}) {
    EXPECT_THAT(ErrorOfBytes(zst + foreign + zst),
                AllOf(HasSubstr(dir_ / "file: "), HasSubstr("not zstd data"), HasSubstr(at(zst))));
  }
  EXPECT_THAT(ErrorOfBytes(SkippableFrame("x") + "X"), HasSubstr("not zstd data"));
}

TEST_F(ByteSourceTest, AFileThatIsCutAnywhereIsAnError) {
  const std::string gz = Gzip(text_.substr(0, 400)), zst = Zstd(text_.substr(0, 400)), skip = SkippableFrame("skipped");
  for (size_t cut = 2; cut < gz.size(); ++cut) EXPECT_THAT(ErrorOfBytes(gz.substr(0, cut)), HasSubstr("truncated"));
  for (size_t cut = 4; cut < zst.size(); ++cut) EXPECT_THAT(ErrorOfBytes(zst.substr(0, cut)), HasSubstr("truncated"));
  for (size_t cut = 4; cut < skip.size(); ++cut) EXPECT_THAT(ErrorOfBytes(skip.substr(0, cut)), HasSubstr("truncated"));
  for (size_t cut = 4; cut < zst.size(); ++cut) EXPECT_NE(ErrorOfBytes(zst + skip + zst.substr(0, cut)), "") << cut;
  for (size_t cut = 2; cut < gz.size(); ++cut) EXPECT_NE(ErrorOfBytes(gz + gz.substr(0, cut)), "") << cut;
}

TEST_F(ByteSourceTest, DamageIsAnErrorThatNamesTheByte) {
  std::string gz = Gzip(text_), zst = Zstd(text_);
  gz[gz.size() - 6] ^= 1;  // its checksum
  zst[zst.size() / 2] ^= 0x40;
  EXPECT_THAT(ErrorOfBytes(gz), AllOf(HasSubstr("damaged gzip data: incorrect data check"), HasSubstr("at byte ")));
  EXPECT_THAT(ErrorOfBytes(zst), AllOf(HasSubstr("damaged zstd data: "), HasSubstr("at byte ")));
}

TEST_F(ByteSourceTest, OtherCompressionsAreNamed) {
  EXPECT_THAT(ErrorOfBytes(std::string("\xfd\x37zXZ\0rest", 10)), HasSubstr("file: xz data, which is not read"));
  EXPECT_THAT(ErrorOfBytes("BZh91AY"), HasSubstr("bzip2 data"));
  EXPECT_THAT(ErrorOfBytes("\x04\x22\x4d\x18rest"), HasSubstr("lz4 data"));
  EXPECT_THAT(ErrorOfBytes("PK\x03\x04rest"), HasSubstr("zip data"));
  EXPECT_THAT(ErrorOfBytes("PAR1rest"), HasSubstr("Parquet data"));
}

TEST_F(ByteSourceTest, TheDigestIsOfTheFileAsItLies) {
  for (const std::string& bytes : {std::string(), text_, Gzip(text_), Zstd(text_) + SkippableFrame("end")}) {
    WriteText(dir_ / "file", bytes);
    const std::unique_ptr<ByteSource> source = OpenByteSource(dir_ / "file");
    ReadAll(source.get());
    EXPECT_EQ(source->digest(), (files::FileDigest{bytes.size(), files::Hash(bytes)}));
    EXPECT_EQ(source->consumed(), bytes.size());
  }
}

TEST_F(ByteSourceTest, WhatCannotBeReadIsNamed) {
  EXPECT_THAT(ErrorOf([] { OpenByteSource("/nonexistent/a"); }), HasSubstr("/nonexistent/a: cannot open: No such"));
  EXPECT_THAT(ErrorOf([&] { ReadAll(OpenByteSource(dir_.path()).get()); }), HasSubstr("cannot read: Is a directory"));
}

}  // namespace
}  // namespace sink::data
