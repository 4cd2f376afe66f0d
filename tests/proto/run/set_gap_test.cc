// What is missing of a set's copy is found by its files' sizes; of what says nothing of files nothing is missing.
#include "proto/run/set_gap.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "proto/run/set_hashes.h"
#include "tests/testing/temp_dir.h"

namespace sink::run {
namespace {

namespace fs = std::filesystem;

constexpr char kTrain[] = "train_a_0_0000000000.bin", kValid[] = "valid_a_0_0000000000.bin";

class SetGap : public ::testing::Test {
 protected:
  // Of 100 tokens a chunk, and of 20 where it is to validate.
  SetGap() {
    Write("set.json", R"({"format": "sink/packed/v1", "block": 10, "chunk_blocks": 10, "valid_chunk_blocks": 2,
        "files": [{"name": "train_a_0_0000000000.bin", "blocks": 10},
                  {"name": "valid_a_0_0000000000.bin", "blocks": 1}]})");
    Write(kTrain, std::string(224, 'x'));
    Write(kValid, std::string(64, 'x'));
  }
  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  files::FileError Find() { return FindSetGap(dir_.path().string()); }

  testing::TempDir dir_;
};

TEST_F(SetGap, AWholeSetHasNone) {
  EXPECT_FALSE(Find()) << Find().message();
  Write(kTrain, std::string(424, 'x'));  // tokens of four bytes
  Write(kValid, std::string(104, 'x'));
  EXPECT_FALSE(Find()) << Find().message();
}

TEST_F(SetGap, AFileThatIsNotThereIsNamed) {
  fs::remove(dir_ / kValid);
  EXPECT_EQ(Find().code(), ENOENT);
  EXPECT_NE(Find().message().find(kValid), std::string::npos) << Find().message();
}

TEST_F(SetGap, AFileOfAnotherSizeIsNamed) {
  for (const size_t size : {0, 24, 223, 225, 64}) {
    Write(kTrain, std::string(size, 'x'));
    EXPECT_NE(Find().message().find(kTrain), std::string::npos) << size;
  }
}

TEST_F(SetGap, AFileWithoutAHashIsNamedWhereTheSetHasHashes) {
  const std::string hash(32, 'a');
  Write(kSetHashesFile, PrintSetHashes({{kTrain, hash}, {kValid, hash}}));
  EXPECT_FALSE(Find()) << Find().message();
  Write(kSetHashesFile, PrintSetHashes({{kTrain, hash}}));
  EXPECT_NE(Find().message().find(kValid), std::string::npos) << Find().message();
  Write(kSetHashesFile, "");
  EXPECT_NE(Find().message().find(kSetHashesFile), std::string::npos) << Find().message();
}

TEST_F(SetGap, WhereTheSetHasHashesSetJsonAndEveryFileThatHasOneMustBeThere) {
  const std::string hash(32, 'a');
  const SetHashes hashes = {{kTrain, hash}, {kValid, hash}};
  Write(kSetHashesFile, PrintSetHashes(hashes));
  const std::string set_json = (dir_ / "set.json");
  fs::rename(set_json, dir_ / "later");
  EXPECT_EQ(Find().code(), ENOENT);
  EXPECT_NE(Find().message().find("set.json"), std::string::npos) << Find().message();
  Write("set.json", "{}");  // which lists no files
  EXPECT_FALSE(Find()) << Find().message();
  fs::rename(dir_ / kValid, dir_ / "valid");
  EXPECT_EQ(Find().code(), ENOENT);
  EXPECT_NE(Find().message().find(kValid), std::string::npos) << Find().message();
  fs::rename(dir_ / "valid", dir_ / kValid);
  fs::rename(dir_ / "later", set_json);
  EXPECT_FALSE(Find()) << Find().message();
  Write(kSetHashesFile, PrintSetHashes({{kTrain, hash}, {kValid, hash}, {"valid_b_0_0000000000.bin", hash}}));
  EXPECT_NE(Find().message().find("valid_b_0_0000000000.bin"), std::string::npos) << Find().message();
}

TEST_F(SetGap, WhereSetJsonDoesNotSayWhatThereMustBeNothingIsMissing) {
  fs::remove(dir_ / kTrain);
  for (const char* json : {"", "[]", "{}", R"({"block": 10, "chunk_blocks": 10, "valid_chunk_blocks": 2})",
                           R"({"block": -1, "chunk_blocks": 1, "valid_chunk_blocks": 1, "files": [{"name": "a.bin"}]})",
                           R"({"block": 1, "chunk_blocks": 1, "valid_chunk_blocks": 1, "files": [1]})",
                           R"({"block": 1, "chunk_blocks": 1, "valid_chunk_blocks": 1, "files": [{"name": 1}]})"}) {
    Write("set.json", json);
    EXPECT_FALSE(Find()) << json;
  }
  fs::remove(dir_ / "set.json");
  EXPECT_FALSE(Find());
}

}  // namespace
}  // namespace sink::run
