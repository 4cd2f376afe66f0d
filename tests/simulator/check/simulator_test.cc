// The simulator in its short form: schedules pass, the same seed gives the same schedule, and each protection that is
// taken out is missed. The long form is the program `simulator`.
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "tests/simulator/world.h"

namespace sink::simulator {
namespace {

// The first seed that fails with these words; 0 when none does.
uint64_t FirstFailure(Mutation mutation, uint64_t seeds, std::string* failure, const std::string& words = "") {
  Machine machine;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    *failure = World(seed, mutation, &machine, /*trace=*/false).Run();
    if (!failure->empty() && absl::StrContains(*failure, words)) return seed;
  }
  return 0;
}

TEST(Simulator, EveryPromiseHoldsInEverySchedule) {
  std::string failure;
  EXPECT_EQ(FirstFailure(Mutation::kNone, 1000, &failure), 0u) << failure;
}

TEST(Simulator, ASeedGivesOneSchedule) {
  Machine machine;
  for (const uint64_t seed : {3, 4, 5}) {
    World one(seed, Mutation::kNone, &machine, false);
    one.Run();
    const uint64_t digest = one.digest();
    World same(seed, Mutation::kNone, &machine, false);
    same.Run();
    EXPECT_EQ(same.digest(), digest);
  }
}

struct Missed {
  Mutation mutation;
  std::string words;  // of the check that must find it; empty: any
};
class MutationTest : public ::testing::TestWithParam<Missed> {};

TEST_P(MutationTest, AProtectionTakenOutIsMissed) {
  std::string failure;
  EXPECT_GT(FirstFailure(GetParam().mutation, 2000, &failure, GetParam().words), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Each, MutationTest,
    ::testing::Values(Missed{Mutation::kFence, ""}, Missed{Mutation::kSync, ""}, Missed{Mutation::kEvents, ""},
                      Missed{Mutation::kRestore, ""}, Missed{Mutation::kArrival, "acknowledged with wrong bytes"},
                      Missed{Mutation::kFetch, "that are wrong"},
                      Missed{Mutation::kLocal, "goes on from another attempt's bytes"},
                      Missed{Mutation::kCollect, "are gone"}, Missed{Mutation::kDropAll, "goes on from step"},
                      Missed{Mutation::kPoints, "lost: the point of step"}, Missed{Mutation::kSpool, "succeeded with"},
                      Missed{Mutation::kWakeup, "could start there"}));

}  // namespace
}  // namespace sink::simulator
