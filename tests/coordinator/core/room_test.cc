// What is given out while the coordinator's disk has no room.
#include "tests/coordinator/core/gang_fixture.h"

namespace sink {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class RoomTest : public GangTest {
 protected:
  void SetRoom(bool room) { manager->dispatcher().SetRoom(room); }
  uint64_t Version() const { return manager->dispatcher().placement().version(); }
  std::vector<std::string> Why(int n) {
    const auto explanation = manager->queries().Explain(Id(n), now);
    EXPECT_TRUE(explanation.ok()) << explanation.status();
    return explanation.ok() ? explanation->reasons : std::vector<std::string>();
  }
};

TEST_F(RoomTest, WithoutRoomNoJobIsGivenOutUntilThereIsSome) {
  Submit({1});
  Register();
  SetRoom(false);
  EXPECT_THAT(Poll(1), IsEmpty());
  EXPECT_EQ(State(), JobState::kQueued);
  const uint64_t before = Version();
  SetRoom(false);
  EXPECT_EQ(Version(), before);
  SetRoom(true);
  EXPECT_GT(Version(), before) << "questions that wait are looked at again";
  const uint64_t after = Version();
  SetRoom(true);
  EXPECT_EQ(Version(), after) << "once";
  EXPECT_EQ(Poll(2).size(), 1u);
}

TEST_F(RoomTest, WithoutRoomAQuestionFindsNothingReadyForAnybody) {
  Submit({1});
  Register();
  SetRoom(false);
  bool nothing_ready = false;
  ASSERT_TRUE(manager->dispatcher().AcquireLeases({"w", "a", 1, 1}, now, &nothing_ready).ok());
  EXPECT_TRUE(nothing_ready);
  EXPECT_FALSE(manager->dispatcher().LookAhead()->ready);
  EXPECT_EQ(*manager->dispatcher().JobFor({"w", "a", 2, 1}, now), "");
  SetRoom(true);
  EXPECT_TRUE(manager->dispatcher().LookAhead()->ready);
  EXPECT_EQ(*manager->dispatcher().JobFor({"w", "a", 2, 1}, now), Id(1));
}

TEST_F(RoomTest, WithoutRoomALostAnswerIsRepeatedAndWhatRunsGoesOnToItsEnd) {
  Submit({1, 2, 3});
  Register();
  const std::vector<Grant> first = Poll(1, 2);
  ASSERT_EQ(first.size(), 2u);
  SetRoom(false);
  const std::vector<Grant> again = Poll(1, 2);
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].lease, first[0].lease);
  const Lease ends = first[0].lease, stops = first[1].lease;
  ASSERT_TRUE(manager->workers().Report("w", ends, {Hello(1)}, now).ok());
  ASSERT_TRUE(Heartbeat({ends}, JobState::kFinalizing).ok());
  EXPECT_EQ(*Finish(ends, JobState::kSucceeded, FailureClass::kNone, 1), JobState::kSucceeded);
  ASSERT_TRUE(manager->clients().Cancel({"", {stops.job_id}}, now).ok());
  EXPECT_THAT(Heartbeat({stops}, JobState::kFinalizing)->cancel, ElementsAre(stops));
  EXPECT_EQ(*Finish(stops, JobState::kCancelled), JobState::kCancelled);
  EXPECT_THAT(Poll(2), IsEmpty());
  EXPECT_EQ(State(3), JobState::kQueued);
}

TEST_F(RoomTest, WithoutRoomAGangThatWasGivenOutStillGetsItsMembers) {
  Join("u", 4);
  Join("v", 4);
  SubmitGang(1, 8, 4);
  ASSERT_EQ(Ask("u", 1, 4).size(), 1u);
  SetRoom(false);
  const WorkAhead ahead = *manager->dispatcher().LookAhead();
  EXPECT_THAT(ahead.members, UnorderedElementsAre("v"));
  EXPECT_FALSE(ahead.ready);
  EXPECT_EQ(Ask("v", 1, 4).size(), 1u);
}

TEST_F(RoomTest, WithoutRoomAQueuedJobSaysSo) {
  Submit({1, 2});
  Register();
  Start(1);
  const std::string full = "the coordinator's disk is full: nothing is started until there is room";
  SetRoom(false);
  EXPECT_THAT(Why(2), ElementsAre(full)) << "nothing else holds it back";
  EXPECT_THAT(Why(1), Not(Contains(full))) << "it has been started";
  SetRoom(true);
  EXPECT_THAT(Why(2), Not(Contains(full)));
}

}  // namespace
}  // namespace sink
