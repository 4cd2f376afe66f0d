// The hashes by which checkpoints are known, against published values, and ids that do not repeat.
#include "proto/files/hash.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include "proto/files/files.h"
#include "proto/files/random_id.h"
#include "tests/testing/temp_dir.h"

namespace sink::files {
namespace {

constexpr char kHashOfAbc[] = "06b05ab6733a618578af5f94892f3950";
constexpr char kHashOfEmpty[] = "99aa06d3014798d86001c324468d497f";

TEST(Hash, IsXxh3Of128BitsInHex) {
  EXPECT_EQ(Hash("abc"), kHashOfAbc);
  EXPECT_EQ(Hash(""), kHashOfEmpty);
}

TEST(Hash, PiecesAndFilesGiveTheHashOfTheWhole) {
  testing::TempDir dir;
  const std::string path = dir / "file";
  for (const size_t size : {size_t{0}, size_t{3}, size_t{1} << 20, (size_t{1} << 20) + 1}) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 251);
    Hasher hasher;
    for (size_t done = 0; done < size; done += 7777) hasher.Update(std::string_view(bytes).substr(done, 7777));
    EXPECT_EQ(hasher.Digest(), Hash(bytes)) << size;
    ASSERT_FALSE(WriteFile(path, bytes, /*sync=*/false));
    const FileResult<FileDigest> digest = HashFile(path);
    ASSERT_TRUE(digest.ok());
    EXPECT_EQ(*digest, (FileDigest{size, Hash(bytes)})) << size;
  }
  EXPECT_EQ(HashFile(dir / "none").error().code(), ENOENT);
}

TEST(Hash, OfAFileInPiecesTellsHowFarItIs) {
  testing::TempDir dir;
  const std::string path = dir / "file", bytes((2 << 20) + 1, 'x');
  ASSERT_FALSE(WriteFile(path, bytes, /*sync=*/false));
  std::vector<uint64_t> heard;
  const FileResult<FileDigest> digest = HashFileInPieces(path, [&](uint64_t done) {
    heard.push_back(done);
    return true;
  });
  ASSERT_TRUE(digest.ok()) << digest.error().message();
  EXPECT_EQ(*digest, (FileDigest{bytes.size(), Hash(bytes)}));
  EXPECT_EQ(heard, (std::vector<uint64_t>{1 << 20, 2 << 20, (2 << 20) + 1}));
}

TEST(Hash, OfAFileInPiecesEndsWhereItIsNotToGoOn) {
  testing::TempDir dir;
  const std::string path = dir / "file";
  ASSERT_FALSE(WriteFile(path, std::string(3 << 20, 'x'), /*sync=*/false));
  uint64_t read = 0;
  const FileResult<FileDigest> digest = HashFileInPieces(path, [&](uint64_t done) {
    read = done;
    return done < (2 << 20);
  });
  EXPECT_EQ(read, uint64_t{2} << 20);
  ASSERT_FALSE(digest.ok());
  EXPECT_EQ(digest.error().code(), ECANCELED);
  EXPECT_NE(digest.error().message().find(path), std::string::npos) << digest.error().message();
}

TEST(Hash, InPiecesIsOfNothingButAFile) {
  testing::TempDir dir;
  const std::string fifo = dir / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const auto go_on = [](uint64_t) { return true; };
  EXPECT_EQ(HashFileInPieces(fifo, go_on).error().code(), ESPIPE) << "and nobody need write to it";
  EXPECT_EQ(HashFileInPieces(dir / "none", go_on).error().code(), ENOENT);
}

TEST(RandomId, Is32HexDigitsAndNeverTheSame) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = RandomId();
    EXPECT_EQ(id.size(), 32u);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 1000u);
}

}  // namespace
}  // namespace sink::files
