// What is given out while the coordinator's disk has no room, and to a worker from which much has still to be taken.
#include "tests/coordinator/core/gang_fixture.h"

namespace sink {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
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
  // The worker's next job, of one device as the worker has, and the end of its trainer.
  Lease TrainToTheEnd(const std::string& worker) {
    const std::vector<Grant> grants = Ask(worker, ++polls_, 1);
    EXPECT_EQ(grants.size(), 1u);
    if (grants.empty()) return {};
    Finalize(worker, grants[0].lease);
    return grants[0].lease;
  }
  void Finalize(const std::string& worker, const Lease& lease) {
    HeartbeatRequest request{worker, "a", {}, 1};
    request.held.push_back({lease, JobState::kFinalizing});
    ASSERT_TRUE(manager->workers().Heartbeat(request, now).ok());
  }
  void Deliver(const std::string& worker, const Lease& lease) {
    EXPECT_EQ(*Finish(lease, JobState::kSucceeded, FailureClass::kNone, 0, worker), JobState::kSucceeded);
  }
  std::vector<Grant> AskOnce(const std::string& worker) { return Ask(worker, ++polls_, 1); }

 private:
  uint64_t polls_ = 0;
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

TEST_F(RoomTest, WhileTheCheckpointsAreAwayAJobThatHasSomeWaitsAndTellsWhyAndThoseBehindItGoBeforeIt) {
  Submit({1, 2});
  Register();
  const Lease first = Start(1);
  ASSERT_TRUE(manager->workers().CommitCheckpoint("w", first, {10, "hash", {{"a.bin", 5, "x"}}, 1}, now).ok());
  Register("w", {}, "b");  // without the job, which is queued again
  const std::string away =
      "it goes on from a checkpoint, and the coordinator's checkpoints are away: it waits for them";
  manager->dispatcher().SetCheckpointsAway(true);
  EXPECT_THAT(Why(1), Contains(away));
  EXPECT_THAT(Why(2), Not(Contains(away)));
  EXPECT_EQ(*manager->dispatcher().JobFor({"w", "b", 1, 8}, now), Id(2));
  const std::vector<Grant> fresh = Poll(1, 8, "w", "b");
  ASSERT_EQ(fresh.size(), 1u);
  EXPECT_EQ(fresh[0].lease.job_id, Id(2));
  bool nothing_ready = false;
  auto none = manager->dispatcher().AcquireLeases({"w", "b", 2, 8}, now, &nothing_ready);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_THAT(*none, IsEmpty());
  EXPECT_TRUE(nothing_ready);
  const uint64_t before = Version();
  manager->dispatcher().SetCheckpointsAway(false);
  EXPECT_GT(Version(), before) << "questions that wait are looked at again";
  const std::vector<Grant> back = Poll(3, 8, "w", "b");
  ASSERT_EQ(back.size(), 1u);
  ASSERT_TRUE(back[0].resume_from.has_value());
  EXPECT_EQ(back[0].resume_from->step, 10);
  EXPECT_THAT(Why(1), Not(Contains(away)));
}

TEST_F(RoomTest, AWorkerFromWhichMuchHasStillToBeTakenGetsNoMoreUntilSomeOfItHasBeen) {
  Submit({1, 2, 3, 4, 5});
  Join("u", 1);
  const Lease first = TrainToTheEnd("u");
  TrainToTheEnd("u");
  TrainToTheEnd("u");
  bool nothing_ready = true;
  const auto grants = manager->dispatcher().AcquireLeases({"u", "a", 100, 1}, now, &nothing_ready);
  ASSERT_TRUE(grants.ok()) << grants.status();
  EXPECT_THAT(*grants, IsEmpty());
  EXPECT_FALSE(nothing_ready) << "another worker may take it";
  EXPECT_THAT(Why(4), Contains("worker u has 3 jobs whose results still have to be taken, and gets no more until at "
                               "most 2 are left"));
  EXPECT_THAT(Why(4), Not(Contains(HasSubstr("nothing holds it back"))));
  Join("v", 1);
  EXPECT_EQ(Ask("v", 1, 1).size(), 1u);
  const uint64_t before = Version();
  Deliver("u", first);
  EXPECT_GT(Version(), before) << "its question that waits is looked at again";
  EXPECT_THAT(Why(5), Not(Contains(HasSubstr("results still have to be taken"))));
  EXPECT_EQ(Ask("u", 101, 1).size(), 1u);
}

TEST_F(RoomTest, WhatMayStillHaveToBeTakenFromAWorkerGrowsWithItsDevices) {
  Submit({1, 2, 3, 4, 5, 6});
  Join("u", 2);
  for (int job = 1; job <= 5; ++job) TrainToTheEnd("u");
  EXPECT_THAT(AskOnce("u"), IsEmpty());
}

TEST_F(RoomTest, AWorkerThatLosesWhatItHadNotDeliveredGetsJobsAgain) {
  Submit({1, 2, 3, 4});
  Join("u", 1);
  for (int job = 1; job <= 3; ++job) TrainToTheEnd("u");
  EXPECT_THAT(AskOnce("u"), IsEmpty());
  Advance(1'000);
  Join("u", 1, "b");  // a daemon that has none of them
  auto grants = manager->dispatcher().AcquireLeases({"u", "b", 1, 1}, now);
  ASSERT_TRUE(grants.ok()) << grants.status();
  EXPECT_EQ(grants->size(), 1u);
}

TEST_F(RoomTest, NoGangTakesDevicesOfAWorkerFromWhichMuchHasStillToBeTakenNorWaitsForThem) {
  Submit({1, 2, 3});
  Join("u", 1);
  Join("v", 1);
  const Lease first = TrainToTheEnd("v");
  TrainToTheEnd("v");
  TrainToTheEnd("v");
  SubmitGang(4, 2, 1);
  EXPECT_THAT(AskOnce("u"), IsEmpty());
  EXPECT_THAT(Why(4), Contains(HasSubstr("worker v has 3 jobs")));
  EXPECT_THAT(Why(4), Contains(HasSubstr("have room for 1")));
  Submit({1, 2, 3, 5});
  const std::vector<Grant> small = AskOnce("u");
  ASSERT_EQ(small.size(), 1u) << "nobody knows for how long the gang would wait";
  EXPECT_EQ(small[0].lease.job_id, Id(5));
  Deliver("u", small[0].lease);
  Deliver("v", first);
  const std::vector<Grant> leader = AskOnce("u");
  ASSERT_EQ(leader.size(), 1u);
  EXPECT_EQ(leader[0].lease.job_id, Id(4));
  EXPECT_EQ(AskOnce("v").size(), 1u);
}

TEST_F(RoomTest, AJobThatHasJustFailedWaitsForAWorkerFromWhichMuchHasStillToBeTakenAsForABusyOne) {
  Submit({1, 2, 3, 4});
  Join("u", 1);
  Join("v", 1);
  const Lease first = TrainToTheEnd("v");
  TrainToTheEnd("v");
  TrainToTheEnd("v");
  const std::vector<Grant> fails = AskOnce("u");
  ASSERT_EQ(fails.size(), 1u);
  ASSERT_TRUE(manager->workers().Report("u", fails[0].lease, {Hello(1)}, now).ok());
  EXPECT_EQ(*Finish(fails[0].lease, JobState::kFailed, FailureClass::kInfra, 1, "u"), JobState::kQueued);
  Pass(2000);
  Finalize("v", first);
  EXPECT_THAT(AskOnce("u"), IsEmpty());
  EXPECT_THAT(Why(4), Contains(HasSubstr("worker v has 3 jobs")));
  EXPECT_THAT(Why(4), Contains(HasSubstr("it has just failed on u")));
  Deliver("v", first);
  EXPECT_EQ(AskOnce("v").size(), 1u);
}

TEST_F(RoomTest, AGangCountsForItsLeaderWhichDelivers) {
  Join("u", 1);
  Join("v", 1);
  AskOnce("v");  // which says that its device is free
  for (int gang = 1; gang <= 3; ++gang) {
    SubmitGang(gang, 2, 1);
    const std::vector<Grant> leader = AskOnce("u"), member = AskOnce("v");
    ASSERT_EQ(leader.size(), 1u) << gang;
    ASSERT_EQ(member.size(), 1u) << gang;
    Finalize("u", leader[0].lease);
    ASSERT_TRUE(Finish(member[0].lease, JobState::kSucceeded, FailureClass::kNone, 0, "v").ok());
  }
  Submit({4});
  EXPECT_THAT(AskOnce("u"), IsEmpty());
  EXPECT_EQ(AskOnce("v").size(), 1u);
}

}  // namespace
}  // namespace sink
