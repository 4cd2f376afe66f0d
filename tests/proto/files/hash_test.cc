// The hashes by which checkpoints are known, against published values, and ids that do not repeat.
#include "proto/files/hash.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

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
