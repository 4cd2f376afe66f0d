// A set's fingerprint follows what it holds, and nothing else.
#include "proto/run/set_fingerprint.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/testing/temp_dir.h"

namespace sink::run {
namespace {

namespace fs = std::filesystem;

void Write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

std::string Fingerprint(const fs::path& folder) {
  const auto fingerprint = SetFingerprint(folder.string());
  EXPECT_TRUE(fingerprint.ok()) << fingerprint.error().message();
  return fingerprint.ok() ? *fingerprint : "";
}

// A packed set whose set.json says that it was made of a text with that hash, or of one whose hash is unknown.
fs::path MakeSet(const testing::TempDir& dir, const std::string& name, const std::string& hash,
                 const std::string& tokens = "tokens") {
  const fs::path folder = dir / name;
  fs::create_directories(folder);
  Write(folder / "set.json", R"({"sources": [{"path": "train/a.jsonl", "bytes": 9)" +
                                 (hash.empty() ? "" : R"(, "xxh3": ")" + hash + "\"") + "}]}");
  Write(folder / "train_a_0_0000000000.bin", tokens);
  return folder;
}

TEST(SetFingerprint, IsThatOfTheSourcesAndNotOfThePlace) {
  testing::TempDir dir;
  const fs::path set = MakeSet(dir, "one", "aa");
  EXPECT_EQ(Fingerprint(set).size(), 32u);
  EXPECT_EQ(Fingerprint(set), Fingerprint(MakeSet(dir, "copy", "aa")));
  EXPECT_NE(Fingerprint(set), Fingerprint(MakeSet(dir, "other", "bb"))) << "of the same size";
}

TEST(SetFingerprint, OfASetWithoutHashesIsTakenFromItsFiles) {
  testing::TempDir dir;
  const std::string tokens(20'000, 'x');
  const fs::path set = MakeSet(dir, "one", "", tokens);
  EXPECT_EQ(Fingerprint(set), Fingerprint(MakeSet(dir, "copy", "", tokens)));
  std::string head = tokens, tail = tokens;
  head[17] = tail[19'999] = 'y';
  EXPECT_NE(Fingerprint(set), Fingerprint(MakeSet(dir, "head", "", head)));
  EXPECT_NE(Fingerprint(set), Fingerprint(MakeSet(dir, "tail", "", tail)));
  EXPECT_NE(Fingerprint(set), Fingerprint(MakeSet(dir, "longer", "", tokens + "x")));
  fs::remove(set / "set.json");
  const std::string foreign = Fingerprint(set);
  fs::rename(set / "train_a_0_0000000000.bin", set / "train_b_0_0000000000.bin");
  EXPECT_NE(Fingerprint(set), foreign);
}

TEST(SetFingerprint, IsTheSameWithAndWithoutHashesOfTheFiles) {
  testing::TempDir dir;
  for (const char* hash : {"aa", ""}) {
    const fs::path set = MakeSet(dir, "set", hash);
    const std::string before = Fingerprint(set);
    Write(set / "files.xxh128", std::string(32, 'a') + "  train_a_0_0000000000.bin\n");
    EXPECT_EQ(Fingerprint(set), before);
    fs::remove(set / "files.xxh128");
  }
}

TEST(SetFingerprint, OfNoSetIsAnError) {
  testing::TempDir dir;
  fs::create_directories(dir / "empty");
  Write(dir / "empty/notes.txt", "no set");
  EXPECT_EQ(SetFingerprint(dir / "empty").error().code(), ENOENT);
  EXPECT_EQ(SetFingerprint(dir / "nowhere").error().code(), ENOENT);
}

}  // namespace
}  // namespace sink::run
