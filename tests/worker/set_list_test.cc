// A worker tells which packed sets it has, and notices when one is packed anew.
#include "worker/set_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "absl/time/clock.h"
#include "proto/files/hash.h"
#include "proto/run/set_hashes.h"
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
  SetList list(dir.path().string(), dir / "set-files");
  const auto sets = Listed(list, absl::Seconds(1));
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(sets.at("bible"), ContentOfSet(dir.path().string(), "bible"));
  EXPECT_NE(sets.at("bible"), sets.at("regmix"));
}

TEST(SetList, NamesThePlainFilesBesideTheSets) {
  testing::TempDir dir;
  SetList list(dir.path().string(), dir / ".set-files");
  EXPECT_TRUE(list.Get(absl::Seconds(1)).has_files()) << "that there is none is said as well";
  EXPECT_EQ(list.Get(absl::Seconds(1)).files().names_size(), 0);
  MakeSet(dir / "bible", "1");
  for (const char* name : {"texts.jsonl", "a.jsonl.zst", ".texts.jsonl.part", "odd name"})
    std::ofstream(dir / name) << "{}";
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  fs::create_symlink("texts.jsonl", dir / "link");
  fs::create_symlink("nowhere", dir / "broken");
  EXPECT_THAT(list.Get(absl::Seconds(4)).files().names(), ::testing::ElementsAre("a.jsonl.zst", "link", "texts.jsonl"));
}

TEST(SetList, OfAFolderWithMorePlainFilesThanAreToldAnyMayBeThere) {
  testing::TempDir dir;
  SetList list(dir.path().string(), dir / ".set-files");
  for (int i = 0; i < 1000; ++i) std::ofstream(dir / ("text-" + std::to_string(i)));
  EXPECT_EQ(list.Get(absl::Seconds(1)).files().names_size(), 1000);
  std::ofstream(dir / "one-more");
  EXPECT_FALSE(list.Get(absl::Seconds(4)).has_files());
}

TEST(SetList, LooksAgainAfterTwoSeconds) {
  testing::TempDir dir;
  MakeSet(dir / "bible", "1");
  SetList list(dir.path().string(), dir / "set-files");
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
  SetList list(dir.path().string(), dir / "set-files");
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
  SetList list(dir.path().string(), dir / "set-files");
  const v1::DataSets sets = list.Get(absl::Seconds(1));
  ASSERT_EQ(sets.incomplete_size(), 100);
  EXPECT_EQ(sets.incomplete(0).gap().find("cannot find set0/a xx"), 0u) << sets.incomplete(0).gap();
  EXPECT_EQ(sets.incomplete(0).gap().size(), 512u);
}

constexpr char kTrainFile[] = "train_a_0_0000000000.bin", kValidFile[] = "valid_a_0_0000000000.bin";

// Of two files of the right size that hold what was packed, with their hashes.
void MakeWholeSet(const fs::path& folder) {
  fs::create_directories(folder);
  std::ofstream(folder / "set.json") << R"({"block": 3, "chunk_blocks": 2, "valid_chunk_blocks": 1,
      "sources": [{"xxh3": "1"}], "files": [{"name": "train_a_0_0000000000.bin", "blocks": 2},
                                            {"name": "valid_a_0_0000000000.bin", "blocks": 1}]})";
  const std::string train(24 + 2 * 6, 't'), valid(24 + 2 * 3, 'v');
  std::ofstream(folder / kTrainFile) << train;
  std::ofstream(folder / kValidFile) << valid;
  std::ofstream(folder / run::kSetHashesFile)
      << run::PrintSetHashes({{kTrainFile, files::Hash(train)}, {kValidFile, files::Hash(valid)}});
}

// Asks again, a moment of its clock later, until so many sets are listed, or for a while of the wall's clock.
size_t ListedOnce(SetList& list, size_t wanted, absl::Duration* now, absl::Duration patience = absl::Seconds(10)) {
  const absl::Time until = absl::Now() + patience;
  while (true) {
    const size_t sets = Listed(list, *now).size();
    *now += absl::Milliseconds(150);
    if (sets == wanted || absl::Now() > until) return sets;
    absl::SleepFor(absl::Milliseconds(20));
  }
}

TEST(SetList, ASetWithHashesIsListedWhenItsFilesAreFoundToBeWhatWasPacked) {
  testing::TempDir dir;
  MakeWholeSet(dir / "good");
  MakeWholeSet(dir / "spoiled");
  std::ofstream(dir.path() / "spoiled" / kTrainFile) << std::string(24 + 2 * 6, '\0');
  SetList list(dir.path().string(), dir / "set-files");
  absl::Duration now = absl::Seconds(1);
  EXPECT_TRUE(Listed(list, now).empty()) << "before they are read";
  EXPECT_EQ(list.AskAgainIn(now), absl::Milliseconds(100)) << "they may be read in no time";
  EXPECT_EQ(list.AskAgainIn(now + absl::Hours(1)), absl::Seconds(5)) << "or in hours";
  now += absl::Seconds(2);
  EXPECT_EQ(ListedOnce(list, 1, &now), 1u);
  EXPECT_EQ(ListedOnce(list, 2, &now, absl::Milliseconds(300)), 1u) << "of the right size, but zeros";
  EXPECT_EQ(Listed(list, now).count("good"), 1u);
  fs::remove(dir.path() / "spoiled" / kTrainFile);
  fs::copy_file(dir.path() / "good" / kTrainFile, dir.path() / "spoiled" / kTrainFile);
  now += absl::Seconds(2);
  EXPECT_EQ(ListedOnce(list, 2, &now), 2u) << "copied anew";
  EXPECT_EQ(list.AskAgainIn(now), absl::InfiniteDuration()) << "all is known";
}

TEST(SetList, AHalfCopyWhoseSetJsonIsNotThereYetIsNoneThoughNothingIsCompared) {
  testing::TempDir dir;
  const fs::path folder = dir / "half";
  MakeWholeSet(folder);
  fs::rename(folder / "set.json", folder / ".set.json.part");
  fs::rename(folder / kValidFile, folder / ".valid.part");
  SetList list(dir.path().string(), dir / "set-files", /*check_rate=*/0);
  EXPECT_TRUE(Listed(list, absl::Seconds(1)).empty());
  ASSERT_EQ(list.Get(absl::Seconds(1)).incomplete_size(), 1);
  EXPECT_THAT(list.Get(absl::Seconds(1)).incomplete(0).gap(), ::testing::HasSubstr("half/set.json"));
  fs::rename(folder / ".set.json.part", folder / "set.json");
  EXPECT_TRUE(Listed(list, absl::Seconds(4)).empty()) << "a file that has a hash is missing";
  fs::rename(folder / ".valid.part", folder / kValidFile);
  EXPECT_EQ(Listed(list, absl::Seconds(7)).count("half"), 1u);
}

TEST(SetList, ASetThatTakesLongToReadIsListedMeanwhile) {
  testing::TempDir dir;
  const fs::path folder = dir / "large";
  fs::create_directories(folder);
  std::ofstream(folder / "set.json") << R"({"block": 3, "chunk_blocks": 100000000, "valid_chunk_blocks": 1,
      "sources": [{"xxh3": "1"}], "files": [{"name": "train_a_0_0000000000.bin", "blocks": 2}]})";
  std::ofstream(folder / kTrainFile) << "";
  fs::resize_file(folder / kTrainFile, 24 + 2 * 300'000'000);  // some seconds
  std::ofstream(folder / run::kSetHashesFile) << run::PrintSetHashes({{kTrainFile, files::Hash("")}});
  SetList list(dir.path().string(), dir / "set-files");
  EXPECT_TRUE(Listed(list, absl::Seconds(1)).empty());
  EXPECT_TRUE(Listed(list, absl::Seconds(30)).empty());
  ASSERT_EQ(list.Get(absl::Seconds(30)).incomplete_size(), 1) << "why it is not listed is told";
  EXPECT_EQ(list.Get(absl::Seconds(30)).incomplete(0).name(), "large");
  EXPECT_EQ(list.Get(absl::Seconds(30)).incomplete(0).use(), v1::COPY_BEING_COMPARED);
  EXPECT_EQ(Listed(list, absl::Seconds(36)).count("large"), 1u) << "after half a minute";
  EXPECT_EQ(list.Get(absl::Seconds(36)).incomplete_size(), 0);
  EXPECT_EQ(list.AskAgainIn(absl::Seconds(36)), absl::InfiniteDuration());
}

TEST(SetList, AByteThatIsChangedInItsPlaceIsSeenWithinAMinute) {
  testing::TempDir dir;
  MakeWholeSet(dir / "set");
  SetList list(dir.path().string(), dir / "set-files");
  absl::Duration now = absl::Seconds(1);
  ASSERT_EQ(ListedOnce(list, 1, &now), 1u);
  absl::SleepFor(absl::Milliseconds(20));  // another time of the file
  std::fstream(dir.path() / "set" / kValidFile, std::ios::in | std::ios::out) << "w";
  now += absl::Minutes(1);
  EXPECT_EQ(ListedOnce(list, 0, &now), 0u);
  EXPECT_EQ(ListedOnce(list, 1, &now, absl::Milliseconds(300)), 0u) << "nor is it later";
}

TEST(SetList, ASetThatWasReadByAFormerDaemonIsListedAtOnce) {
  testing::TempDir dir;
  MakeWholeSet(dir / "set");
  absl::Duration now = absl::Seconds(1);
  {
    SetList list(dir.path().string(), dir / "set-files");
    ASSERT_EQ(ListedOnce(list, 1, &now), 1u);
  }
  SetList list(dir.path().string(), dir / "set-files");
  EXPECT_EQ(Listed(list, absl::Seconds(1)).size(), 1u);
}

TEST(SetList, OfAFolderThatIsNotThereIsEmpty) {
  testing::TempDir dir;
  SetList list("/nonexistent/root", dir / "set-files");
  EXPECT_EQ(list.Get(absl::Seconds(1)).sets_size(), 0);
}

}  // namespace
}  // namespace sink::worker
