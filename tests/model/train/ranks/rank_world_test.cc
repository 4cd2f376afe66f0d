// What the environment may say about ranks, and what is refused.
#include "model/train/ranks/rank_world.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include "model/train/link/train_error.h"
#include "tests/testing/temp_dir.h"

namespace sink::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

constexpr const char* kNames[] = {"SINK_RANK",
                                  "SINK_WORLD_SIZE",
                                  "SINK_RENDEZVOUS",
                                  "SINK_RENDEZVOUS_TOKEN",
                                  "SINK_RENDEZVOUS_TOKEN_FILE",
                                  "SINK_COLLECTIVE_TIMEOUT_S",
                                  "SINK_RENDEZVOUS_TIMEOUT_S"};
const Variables kGood = {{"SINK_RANK", "2"},
                         {"SINK_WORLD_SIZE", "4"},
                         {"SINK_RENDEZVOUS", "node-1:29500"},
                         {"SINK_RENDEZVOUS_TOKEN", "t"},
                         {"SINK_COLLECTIVE_TIMEOUT_S", "30"},
                         {"SINK_RENDEZVOUS_TIMEOUT_S", "90"}};

RankWorld Parse(const Variables& variables) {
  for (const char* name : kNames) unsetenv(name);
  for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  struct Unset {
    ~Unset() {
      for (const char* name : kNames) unsetenv(name);
    }
  } const unset;
  return WorldFromEnvironment();
}

std::string ErrorOf(const std::string& name, const std::string& value) {
  Variables variables = kGood;
  variables[name] = value;
  try {
    Parse(variables);
  } catch (const UserError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(RankWorld, AloneWithoutAnyVariable) {
  const RankWorld world = Parse({});
  EXPECT_TRUE(world.alone());
  EXPECT_EQ(world.rank, 0);
  EXPECT_EQ(world.size, 1);
  EXPECT_EQ(world.timeout.count(), 120);
  EXPECT_EQ(world.patience.count(), 7200);
}

TEST(RankWorld, OneRankOfSeveral) {
  const RankWorld world = Parse(kGood);
  EXPECT_FALSE(world.alone());
  EXPECT_EQ(world.rank, 2);
  EXPECT_EQ(world.size, 4);
  EXPECT_EQ(world.host, "node-1");
  EXPECT_EQ(world.port, 29500);
  EXPECT_EQ(world.token, "t");
  EXPECT_EQ(world.timeout.count(), 30);
  EXPECT_EQ(world.patience.count(), 90);
}

TEST(RankWorld, OneRankMayMeetNobody) {
  const RankWorld world = Parse({{"SINK_RENDEZVOUS", "[::1]:1"}, {"SINK_RENDEZVOUS_TOKEN", "t"}});
  EXPECT_FALSE(world.alone());
  EXPECT_EQ(world.size, 1);
  EXPECT_EQ(world.host, "::1");
}

TEST(RankWorld, TheTokenMayComeFromAFile) {
  const testing::TempDir dir;
  std::ofstream(dir / "token") << "of a file";
  EXPECT_EQ(Parse({{"SINK_RENDEZVOUS", "[::1]:1"}, {"SINK_RENDEZVOUS_TOKEN_FILE", dir / "token"}}).token, "of a file");
  EXPECT_THAT(ErrorOf("SINK_RENDEZVOUS_TOKEN_FILE", dir / "none"),
              AllOf(HasSubstr("SINK_RENDEZVOUS_TOKEN_FILE"), HasSubstr(dir / "none")));
  std::ofstream(dir / "long") << std::string(257, 'x');
  EXPECT_THAT(ErrorOf("SINK_RENDEZVOUS_TOKEN_FILE", dir / "long"), HasSubstr("SINK_RENDEZVOUS_TOKEN_FILE"));
}

TEST(RankWorld, NonsenseIsRefusedByName) {
  EXPECT_THAT(ErrorOf("SINK_RENDEZVOUS", "127.0.0.1:5000:29500"), HasSubstr("an IPv6 address must be in brackets"));
  EXPECT_THAT(ErrorOf("SINK_RANK", "4"), HasSubstr("SINK_RANK: must be below SINK_WORLD_SIZE, 4"));
  EXPECT_THAT(ErrorOf("SINK_RANK", "-1"), HasSubstr("SINK_RANK: must be a whole number from 0"));
  EXPECT_THAT(ErrorOf("SINK_RANK", ""), HasSubstr("SINK_RANK"));
  EXPECT_THAT(ErrorOf("SINK_WORLD_SIZE", "0"), HasSubstr("SINK_WORLD_SIZE: must be a whole number from 1"));
  EXPECT_THAT(ErrorOf("SINK_WORLD_SIZE", "4x"), HasSubstr("not '4x'"));
  EXPECT_THAT(ErrorOf("SINK_RENDEZVOUS", ""), HasSubstr("SINK_RENDEZVOUS is not set"));
  EXPECT_THAT(ErrorOf("SINK_RENDEZVOUS", "node-1"), HasSubstr("must be host:port"));
  EXPECT_THAT(ErrorOf("SINK_RENDEZVOUS", ":29500"), HasSubstr("must be host:port"));
  EXPECT_THAT(ErrorOf("SINK_RENDEZVOUS", "node-1:0"), HasSubstr("SINK_RENDEZVOUS: port"));
  EXPECT_THAT(ErrorOf("SINK_RENDEZVOUS", "node-1:65536"), HasSubstr("SINK_RENDEZVOUS: port"));
  EXPECT_THAT(ErrorOf("SINK_RENDEZVOUS_TOKEN", ""), HasSubstr("SINK_RENDEZVOUS_TOKEN"));
  EXPECT_THAT(ErrorOf("SINK_COLLECTIVE_TIMEOUT_S", "0"), HasSubstr("SINK_COLLECTIVE_TIMEOUT_S"));
  EXPECT_THAT(ErrorOf("SINK_RENDEZVOUS_TIMEOUT_S", "0"), HasSubstr("SINK_RENDEZVOUS_TIMEOUT_S"));
}

}  // namespace
}  // namespace sink::train
