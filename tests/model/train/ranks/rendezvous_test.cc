// How long ranks wait for one another, and what they say when they give up.
#include "model/train/ranks/rendezvous.h"

#include <gmock/gmock.h>

#include <chrono>
#include <string>

#include "model/train/link/train_error.h"
#include "model/train/ranks/rank_watch.h"
#include "proto/pipe/other_rank.h"
#include "tests/testing/unused_port.h"

namespace sink::train {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Lt;

constexpr char kLoopback[] = "127.0.0.1";
constexpr char kNowhere[] = "255.255.255.255";  // no connection ever leads there
constexpr seconds kLong{15};                    // than which a busy machine waits no longer for a second or two

RankWorld OneOfTwo(int rank, const std::string& host, seconds timeout, seconds patience) {
  return {.rank = rank,
          .size = 2,
          .host = host,
          .port = testing::UnusedPort(),
          .token = "t",
          .timeout = timeout,
          .patience = patience};
}

template <typename Body>
std::chrono::duration<double> TimeOf(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::steady_clock::now() - start;
}

TEST(AwaitListener, GivesUpAMachineThatCannotBeReachedAfterTheTimeout) {
  const RankWorld world = OneOfTwo(1, kNowhere, seconds(1), 2 * kLong);
  std::string error;
  EXPECT_THAT(TimeOf([&] { error = AwaitListener(world, [] {}); }), AllOf(Ge(seconds(1)), Lt(kLong)));
  EXPECT_NE(error, "");
}

TEST(AwaitListener, HasMorePatienceWithAMachineThatAnswers) {
  const RankWorld world = OneOfTwo(1, kLoopback, seconds(1), seconds(3));
  int idle = 0;
  std::string error;
  EXPECT_THAT(TimeOf([&] { error = AwaitListener(world, [&] { ++idle; }); }), AllOf(Ge(seconds(3)), Lt(kLong)));
  EXPECT_THAT(error, HasSubstr("refused"));
  EXPECT_GT(idle, 1);
}

TEST(RankWatch, NamesTheRankThatDoesNotComeWithinTheTimeout) {
  const RankWorld world = OneOfTwo(0, kLoopback, seconds(1), 2 * kLong);
  std::string message = "it came";
  const auto meet = [&] {
    try {
      const RankWatch watch(world, [] {});
    } catch (const InfraError& error) {
      message = error.what();
    }
  };
  EXPECT_THAT(TimeOf(meet), AllOf(Ge(seconds(1)), Lt(kLong)));
  EXPECT_THAT(message, HasSubstr("rank 1 of 2 did not come to SINK_RENDEZVOUS=127.0.0.1:"));
  EXPECT_THAT(message, HasSubstr("within 1 s"));
  EXPECT_TRUE(pipe::IsOfAnotherRank(message)) << message;
}

}  // namespace
}  // namespace sink::train
