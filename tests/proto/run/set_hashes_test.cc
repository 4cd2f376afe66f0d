// The hashes of a set's files: what is printed is read, what was cut is refused, and a set may have none.
#include "proto/run/set_hashes.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "proto/files/hash.h"
#include "tests/testing/temp_dir.h"

namespace sink::run {
namespace {

constexpr char kTrain[] = "train_a_0_0000000000.bin", kValid[] = "valid_a_0_0000000000.bin";

TEST(SetHashes, AreLinesAsXxh128sumPrintsThem) {
  EXPECT_EQ(PrintSetHashes({{kValid, files::Hash("")}, {kTrain, std::string(32, 'a')}}),
            std::string(32, 'a') + "  train_a_0_0000000000.bin\n" +
                "99aa06d3014798d86001c324468d497f  valid_a_0_0000000000.bin\n");
}

TEST(SetHashes, WhatIsPrintedIsRead) {
  testing::TempDir dir;
  const SetHashes hashes = {{kTrain, files::Hash("a")}, {kValid, files::Hash("b")}};
  std::ofstream(dir / kSetHashesFile) << PrintSetHashes(hashes);
  const auto read = ReadSetHashes(dir.path().string());
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(*read, hashes);
}

TEST(SetHashes, ASetOfAnOlderVersionHasNone) {
  testing::TempDir dir;
  const auto read = ReadSetHashes(dir.path().string());
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_TRUE(read->empty());
}

TEST(SetHashes, WhatIsCutOrOfAnotherFormIsRefused) {
  const std::string good = PrintSetHashes({{kTrain, files::Hash("a")}});
  ASSERT_TRUE(ParseSetHashes(good, "f").ok());
  EXPECT_FALSE(ParseSetHashes("", "f").ok());
  for (size_t size = 1; size < good.size(); ++size) {
    const auto cut = ParseSetHashes(good.substr(0, size), "f");
    ASSERT_FALSE(cut.ok()) << size;
    EXPECT_EQ(cut.error().code(), files::kDamaged);
    EXPECT_FALSE(ParseSetHashes(good + good.substr(0, size), "f").ok()) << "behind another line, " << size;
  }
  const std::string hash = files::Hash("a");
  for (const std::string& bad : {"\n" + good, hash + " a.bin\n", hash + "  \n", hash + "  ../a.bin\n",
                                 "X" + hash.substr(1) + "  a.bin\n", std::string(60, '\0')}) {
    EXPECT_FALSE(ParseSetHashes(bad, "f").ok()) << bad;
  }
  const auto second = ParseSetHashes(good + "x\n", "f");
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message().find("f: line 2 "), std::string::npos) << second.error().message();
}

}  // namespace
}  // namespace sink::run
