// Jobs on several workers: one grant a worker, one attempt for all, and what one worker's end does to the others.
#include <map>

#include "absl/strings/str_join.h"
#include "coordinator/errors/error_detail.h"
#include "proto/pipe/other_rank.h"
#include "tests/coordinator/core/gang_fixture.h"

namespace sink {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(GangTest, EachWorkerGetsItsRanksAndAllMeetAtTheLeader) {
  StartGang();
  EXPECT_EQ(leader.devices, 4);
  EXPECT_EQ(leader.first_rank, 0);
  EXPECT_EQ(member.devices, 4);
  EXPECT_EQ(member.first_rank, 4);
  for (const Grant& grant : {leader, member}) {
    EXPECT_EQ(grant.world_size, 8);
    EXPECT_EQ(grant.rendezvous, "u.local:29500");
    EXPECT_EQ(grant.token, leader.token);
    EXPECT_EQ(grant.lease.attempt, 1);
  }
  EXPECT_NE(leader.lease.id, member.lease.id);
  EXPECT_NE(leader.lease.fence, member.lease.fence);
  EXPECT_THAT(manager->queries().GetJob(Id(1))->gang, ElementsAre("u", "v"));
  // The same questions again get the same answers.
  EXPECT_EQ(Ask("u", 1, 4)[0].lease, leader.lease);
  EXPECT_EQ(Ask("v", 1, 4)[0].lease, member.lease);
  EXPECT_THAT(Ask("v", 2, 0), IsEmpty());
}

TEST_F(GangTest, EveryPartOfAMembersLeaseIsChecked) {
  StartGang();
  const auto expect_stale = [&](const Lease& lease, const std::string& worker) {
    EXPECT_THAT(Beat(worker, {lease}).stale, ElementsAre(lease));
    EXPECT_TRUE(IsStaleLease(Finish(lease, JobState::kSucceeded, FailureClass::kNone, 0, worker).status()));
  };
  Lease wrong = member.lease;
  ++wrong.attempt;
  expect_stale(wrong, "v");
  wrong = member.lease;
  ++wrong.fence;
  expect_stale(wrong, "v");
  wrong = member.lease;
  wrong.id += "0";
  expect_stale(wrong, "v");
  expect_stale(member.lease, "u");
  EXPECT_THAT(Beat("v", {member.lease}).stale, IsEmpty());
}

TEST_F(GangTest, NothingStartsUntilAllDevicesAreFree) {
  Join("u", 4);
  Join("v", 4);
  SubmitGang(2, 1, 1);
  const Lease small = Ask("v", 1, 4)[0].lease;
  SubmitGang(1, 8, 4);
  Beat("v", {small}, 3);
  EXPECT_THAT(Ask("u", 1, 4), IsEmpty());
  EXPECT_EQ(State(1), JobState::kQueued);
  EXPECT_THAT(manager->queries().Explain(Id(1), now)->reasons[0], HasSubstr("2 groups of 4 devices"));
  ASSERT_TRUE(Finish(small, JobState::kSucceeded, FailureClass::kNone, 0, "v").ok());
  Beat("v", {}, 4);
  EXPECT_EQ(Ask("u", 2, 4).size(), 1u);
  EXPECT_EQ(Ask("v", 2, 4).size(), 1u);
}

TEST_F(GangTest, NoRanksGoToAWorkerThatHasLeft) {
  Join("u", 4);
  Join("v", 4);
  SubmitGang(1, 8, 4);
  ASSERT_TRUE(manager->workers().Heartbeat({.worker_id = "v", .session = "a", .leaving = true}, now).ok());
  EXPECT_THAT(Ask("u", 1, 4), IsEmpty());
  EXPECT_THAT(manager->queries().Explain(Id(1), now)->reasons[0], HasSubstr("have room for 1"));
  Join("v", 4, "b");
  EXPECT_EQ(Ask("u", 2, 4).size(), 1u);
}

TEST_F(GangTest, LeaderEndsItForAll) {
  StartGang();
  EXPECT_EQ(*Finish(leader.lease, JobState::kSucceeded, FailureClass::kNone, 1, "u"), JobState::kSucceeded);
  EXPECT_THAT(Beat("v", {member.lease}).stale, ElementsAre(member.lease));
  EXPECT_FALSE(Finish(member.lease, JobState::kSucceeded, FailureClass::kNone, 0, "v").ok());
  EXPECT_EQ(State(1), JobState::kSucceeded);
}

TEST_F(GangTest, MemberThatEndedWellIsNotMissed) {
  StartGang();
  EXPECT_EQ(*Finish(member.lease, JobState::kSucceeded, FailureClass::kNone, 0, "v"), JobState::kRunning);
  for (int i = 0; i < 30; ++i) {
    Pass(1000);
    EXPECT_THAT(Beat("u", {leader.lease}).stale, IsEmpty());
  }
  EXPECT_EQ(State(1), JobState::kRunning);
}

TEST_F(GangTest, MembersReasonIsTheAttemptsReason) {
  StartGang();
  EXPECT_EQ(*Finish(member.lease, JobState::kFailed, FailureClass::kOutOfMemory, 0, "v"), JobState::kRunning);
  EXPECT_EQ(*Finish(leader.lease, JobState::kFailed, FailureClass::kInfra, 1, "u"), JobState::kFailed);
  EXPECT_EQ(Get(1).failure_class, FailureClass::kOutOfMemory) << "whose budget is 0";
  EXPECT_EQ(Get(1).message, "on worker v: why");
}

// A gang of three workers with job 1, and the message of its attempt once all have failed with these.
class GangOfThreeTest : public GangTest {
 protected:
  std::string MessageOf(const std::string& of_leader, const std::string& of_v, const std::string& of_w) {
    for (const char* worker : {"u", "v", "w"}) Join(worker, 4);
    SubmitGang(1, 12, 4);
    std::map<std::string, std::vector<Grant>> grants;
    for (const char* worker : {"u", "v", "w"}) grants[worker] = Ask(worker, 1, 4);
    for (const auto& [worker, message] : {std::pair("w", of_w), std::pair("v", of_v), std::pair("u", of_leader)}) {
      EXPECT_EQ(grants[worker].size(), 1u) << worker;
      if (grants[worker].empty()) return "";
      const FinishRequest request = {worker,  grants[worker][0].lease, JobState::kFailed, FailureClass::kInfra,
                                     message, /*last_seq=*/0};
      EXPECT_TRUE(manager->workers().Finish(request, now).ok()) << worker;
    }
    EXPECT_EQ(Get(1).message, manager->queries().GetJob(Id(1))->attempts[0].message);
    return Get(1).message;
  }
};

TEST_F(GangOfThreeTest, TheCauseIsToldAndNotWhatAnotherMemberSawOfIt) {
  const std::string cause = "rank 4 of 12 failed: it ended with an error, which it reported";
  const std::string of_leader = pipe::OfAnotherRank(cause, "rank 0 of 12", "");
  EXPECT_EQ(MessageOf(of_leader, "this worker has no data set /data/regmix",
                      pipe::OfAnotherRank(cause, "rank 8 of 12", "broken pipe")),
            of_leader + "; on worker v: this worker has no data set /data/regmix");
}

TEST_F(GangOfThreeTest, WhatMembersSawOfEachOtherIsToldWhereNoneSaysMore) {
  const std::string of_leader = pipe::OfAnotherRank("rank 4 of 12 failed: no sign of life", "rank 0 of 12", "");
  const std::string of_v = pipe::OfAnotherRank("rank 8 of 12 failed: no sign of life", "rank 4 of 12", "");
  const std::string of_w = pipe::OfAnotherRank("rank 4 of 12 failed: no sign of life", "rank 8 of 12", "");
  EXPECT_EQ(MessageOf(of_leader, of_v, of_w), of_leader + "; on worker v: " + of_v + "; on worker w: " + of_w);
}

TEST_F(GangOfThreeTest, WhatAllSayIsBounded) {
  const std::string much(size_t{1} << 20, 'x');
  EXPECT_LT(MessageOf(much, much, much).size(), size_t{65} << 10);
}

TEST_F(GangTest, FailedMemberEndsTheAttemptEvenIfTheLeaderHangs) {
  StartGang();
  EXPECT_TRUE(Finish(member.lease, JobState::kFailed, FailureClass::kInfra, 0, "v").ok());
  for (int i = 0; i < 12; ++i) {
    Pass(1000);
    Beat("u", {leader.lease});
  }
  EXPECT_EQ(State(1), JobState::kQueued);
  EXPECT_EQ(Get(1).message, "its leader did not end though other ranks had; on worker v: why");
  EXPECT_THAT(Beat("u", {leader.lease}).stale, ElementsAre(leader.lease));
}

TEST_F(GangTest, LostMemberEndsTheAttemptAndTheNextIsWhole) {
  StartGang();
  for (int i = 0; i < 12; ++i) {
    Pass(1000);
    Beat("u", {leader.lease}, 0);
  }
  EXPECT_EQ(State(1), JobState::kQueued);
  EXPECT_THAT(Get(1).message, HasSubstr("its worker v was not heard from for too long"));
  EXPECT_EQ(expirations, 1);
  Join("v", 4, "b");
  Pass(3000);
  ASSERT_TRUE(manager->workers().Heartbeat({"v", "b", {}, 4}, now).ok());
  EXPECT_EQ(Ask("u", 2, 4).size(), 1u);
  auto second = manager->dispatcher().AcquireLeases({"v", "b", 1, 4, 29501}, now);
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(second->size(), 1u);
  EXPECT_EQ((*second)[0].lease.attempt, 2);
  EXPECT_NE((*second)[0].token, leader.token);
}

TEST_F(GangTest, LostLeaderTakesTheMembersWithIt) {
  StartGang();
  for (int i = 0; i < 12; ++i) {
    Pass(1000);
    Beat("v", {member.lease});
  }
  EXPECT_EQ(State(1), JobState::kQueued);
  EXPECT_THAT(Beat("v", {member.lease}).stale, ElementsAre(member.lease));
}

TEST_F(GangTest, MemberThatForgotItsRanksAtARestartEndsTheAttempt) {
  StartGang();
  Join("v", 4, "b");
  EXPECT_EQ(State(1), JobState::kQueued);
  EXPECT_THAT(Get(1).message, HasSubstr("worker v was started again and no longer had the job"));
}

TEST_F(GangTest, ALateCopyOfAMembersRegistrationTakesNoRanks) {
  StartGang();
  Join("v", 4);  // sent before the grant
  EXPECT_EQ(State(), JobState::kRunning);
  EXPECT_TRUE(Beat("v", {member.lease}).stale.empty());
}

TEST_F(GangTest, MemberWithoutItsGrantEndsTheAttempt) {
  Join("u", 4);
  Join("v", 4);
  SubmitGang(1, 8, 4);
  leader = Ask("u", 1, 4)[0];
  for (int i = 0; i < 4; ++i) {
    Pass(1000);
    Beat("u", {leader.lease});
    Beat("v", {}, 0);
  }
  EXPECT_EQ(State(1), JobState::kQueued);
  EXPECT_THAT(Get(1).message, HasSubstr("never got the job"));
  EXPECT_EQ(Get(1).failures, FailureCounts()) << "as where the leader's grant is lost";
  EXPECT_EQ(Get(1).restarts_without_progress, 0);
  EXPECT_THAT(Beat("u", {leader.lease}).stale, ElementsAre(leader.lease));
}

TEST_F(GangTest, CancellationReachesEveryWorker) {
  StartGang();
  ASSERT_TRUE(manager->clients().Cancel({"", {Id(1)}}, now).ok());
  EXPECT_THAT(Beat("u", {leader.lease}).cancel, ElementsAre(leader.lease));
  EXPECT_THAT(Beat("v", {member.lease}).cancel, ElementsAre(member.lease));
  EXPECT_TRUE(Finish(member.lease, JobState::kCancelled, FailureClass::kNone, 0, "v").ok());
  EXPECT_EQ(*Finish(leader.lease, JobState::kCancelled, FailureClass::kNone, 1, "u"), JobState::kCancelled);
}

TEST_F(GangTest, ThatHasNotBegunIsGivenBackWithTheRanksOfOneWorker) {
  Join("u", 4);
  Join("v", 4);
  SubmitGang(1, 8, 4);
  leader = Ask("u", 1, 4)[0];
  member = Ask("v", 1, 4)[0];
  EXPECT_EQ(*Finish(member.lease, JobState::kCancelled, FailureClass::kNone, 0, "v"), JobState::kQueued);
  EXPECT_EQ(State(1), JobState::kQueued);
  EXPECT_EQ(Get(1).failures, FailureCounts());
  EXPECT_THAT(Beat("u", {leader.lease}).stale, ElementsAre(leader.lease));
}

TEST_F(GangTest, IsAsSilentAsTheLeastHeardOfItsWorkers) {
  const auto why = [this] {
    const auto answer = manager->queries().Explain(Id(1), now);
    return absl::StrJoin(answer->reasons, "\n");
  };
  const auto pass_with_the_leader_alone = [this](int seconds) {
    for (; seconds > 0; --seconds) {
      Pass(1000);
      Beat("u", {leader.lease});
    }
  };
  StartGang();
  EXPECT_EQ(why(), "worker u with v has it (attempt 1), heard from a moment ago");
  pass_with_the_leader_alone(2);
  EXPECT_EQ(why(), "worker u with v has it (attempt 1), least recently heard from v, 2s ago");
  pass_with_the_leader_alone(3);
  EXPECT_EQ(why(),
            "worker u with v has it (attempt 1), least recently heard from v, 5s ago\n"
            "worker v is late; after 5s more the job goes to others");
  EXPECT_TRUE(Finish(member.lease, JobState::kSucceeded, FailureClass::kNone, 0, "v").ok());
  EXPECT_EQ(why(), "worker u with v has it (attempt 1), heard from a moment ago") << "v has done its part";
}

TEST_F(GangTest, OutlivesARestartOfTheCoordinator) {
  StartGang();
  Restart();
  EXPECT_THAT(Beat("v", {member.lease}).stale, IsEmpty());
  EXPECT_THAT(Beat("u", {leader.lease}).stale, IsEmpty());
  EXPECT_EQ(*Finish(leader.lease, JobState::kSucceeded, FailureClass::kNone, 1, "u"), JobState::kSucceeded);
}

}  // namespace
}  // namespace sink
