// A worker tells which packed sets it has, and notices when one is packed anew.
#include "worker/set_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "tests/testing/temp_dir.h"

namespace sink::worker {
namespace {

namespace fs = std::filesystem;

void MakeSet(const fs::path& folder, const std::string& hash) {
  fs::create_directories(folder);
  std::ofstream(folder / "set.json.new") << R"({"sources": [{"xxh3": ")" << hash << "\"}]}";
  fs::rename(folder / "set.json.new", folder / "set.json");
}

std::map<std::string, std::string> Listed(SetList& list, absl::Duration now) {
  std::map<std::string, std::string> sets;
  for (const v1::DataSet& set : list.Get(now).sets()) sets[set.name()] = set.content();
  return sets;
}

TEST(SetList, NamesTheFoldersThatHoldAPackedSet) {
  testing::TempDir dir;
  MakeSet(dir / "bible", "1");
  MakeSet(dir / "regmix", "2");
  MakeSet(dir / ".hidden", "3");
  fs::create_directories(dir / "empty");
  std::ofstream(dir / "probe.jsonl") << "{}";
  SetList list(dir.path().string());
  const auto sets = Listed(list, absl::Seconds(1));
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(sets.at("bible"), ContentOfSet(dir.path().string(), "bible"));
  EXPECT_NE(sets.at("bible"), sets.at("regmix"));
}

TEST(SetList, LooksAgainAfterTwoSeconds) {
  testing::TempDir dir;
  MakeSet(dir / "bible", "1");
  SetList list(dir.path().string());
  const auto before = Listed(list, absl::Seconds(1));
  MakeSet(dir / "bible", "2");
  MakeSet(dir / "new", "3");
  EXPECT_EQ(Listed(list, absl::Seconds(2)), before);
  const auto after = Listed(list, absl::Seconds(4));
  EXPECT_EQ(after.size(), 2u);
  EXPECT_NE(after.at("bible"), before.at("bible"));
  EXPECT_TRUE(Listed(list, absl::Seconds(7)) == after) << "what has not changed is known";
}

TEST(SetList, ASetIsListedOnceItsCopyIsWhole) {
  testing::TempDir dir;
  fs::create_directories(dir / "half");
  std::ofstream(dir / "half/set.json") << R"({"block": 3, "chunk_blocks": 2, "valid_chunk_blocks": 1,
      "sources": [{"xxh3": "1"}], "files": [{"name": "train_a_0_0000000000.bin", "blocks": 2},
                                            {"name": "valid_a_0_0000000000.bin", "blocks": 1}]})";
  const fs::path train = dir / "half/train_a_0_0000000000.bin";
  std::ofstream(dir / "half/valid_a_0_0000000000.bin") << std::string(24 + 2 * 3, 'x');
  MakeSet(dir / "bible", "1");
  SetList list(dir.path().string());
  EXPECT_EQ(Listed(list, absl::Seconds(1)).count("half"), 0u) << "a file is missing";
  ASSERT_EQ(list.Get(absl::Seconds(1)).incomplete_size(), 1);
  EXPECT_EQ(list.Get(absl::Seconds(1)).incomplete(0).name(), "half");
  EXPECT_EQ(list.Get(absl::Seconds(1)).incomplete(0).gap(),
            "cannot find half/train_a_0_0000000000.bin: No such file or directory")
      << "and not where the set lies";
  std::ofstream(train) << std::string(30, 'x');
  EXPECT_EQ(Listed(list, absl::Seconds(4)).count("half"), 0u) << "a file is cut short";
  fs::resize_file(train, 24 + 2 * 6);  // as a copy that goes on
  const auto sets = Listed(list, absl::Seconds(7));
  EXPECT_EQ(sets.count("half"), 1u);
  EXPECT_EQ(sets.count("bible"), 1u) << "it names no files";
  EXPECT_EQ(list.Get(absl::Seconds(7)).incomplete_size(), 0);
  fs::resize_file(train, 30);  // as a copy into the same file
  EXPECT_EQ(Listed(list, absl::Seconds(62)).count("half"), 0u);
  fs::resize_file(train, 24 + 2 * 6);
  EXPECT_EQ(Listed(list, absl::Seconds(65)), sets);
}

TEST(SetList, WhatIncompleteSetsLackIsToldInBounds) {
  testing::TempDir dir;
  for (int i = 0; i < 101; ++i) {
    const fs::path folder = dir / ("set" + std::to_string(i));
    fs::create_directories(folder);
    std::ofstream(folder / "set.json") << R"({"block": 1, "chunk_blocks": 1, "valid_chunk_blocks": 1, )"
                                       << R"("files": [{"name": "a\n)" << std::string(2000, 'x') << "\"}]}";
  }
  SetList list(dir.path().string());
  const v1::DataSets sets = list.Get(absl::Seconds(1));
  ASSERT_EQ(sets.incomplete_size(), 100);
  EXPECT_EQ(sets.incomplete(0).gap().find("cannot find set0/a xx"), 0u) << sets.incomplete(0).gap();
  EXPECT_EQ(sets.incomplete(0).gap().size(), 512u);
}

TEST(SetList, OfAFolderThatIsNotThereIsEmpty) {
  SetList list("/nonexistent/root");
  EXPECT_EQ(list.Get(absl::Seconds(1)).sets_size(), 0);
}

}  // namespace
}  // namespace sink::worker
