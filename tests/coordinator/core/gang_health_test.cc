// Of several workers that fail together, the one that failed first by itself is to blame: a job on several workers
// keeps out of a broken one, and that gets no more once one job after the other has failed on it.
#include <algorithm>

#include "proto/pipe/other_rank.h"
#include "tests/coordinator/core/gang_fixture.h"

namespace sink {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class GangHealthTest : public GangTest {
 protected:
  // A device each on the broken one, which is the first in every list, and two that are well.
  GangHealthTest() {
    for (const char* worker : {"bad", "u", "v"}) Join(worker, 1);
  }

  // The one grant that the worker gets now.
  Grant Take(const std::string& worker) {
    const std::vector<Grant> grants = Ask(worker, ++polls_, 1);
    EXPECT_EQ(grants.size(), 1u) << worker;
    return grants.empty() ? Grant() : grants[0];
  }
  bool GetsNothing(const std::string& worker) { return Ask(worker, ++polls_, 1).empty(); }
  void Fail(const Grant& grant, const std::string& worker, FailureClass failure_class = FailureClass::kInfra) {
    EXPECT_TRUE(Finish(grant.lease, JobState::kFailed, failure_class, 0, worker).ok()) << worker;
  }
  // Because, as it says, the other rank did.
  void FailForTheOther(const Grant& grant, const std::string& worker, int rank) {
    const std::string me = "rank " + std::to_string(rank) + " of 2", other = "rank " + std::to_string(1 - rank);
    const std::string message = pipe::OfAnotherRank(other + " of 2 failed: it ended with an error", me, "broken pipe");
    EXPECT_TRUE(
        manager->workers()
            .Finish({worker, grant.lease, JobState::kFailed, FailureClass::kInfra, "rank 0: " + message, 0}, now)
            .ok())
        << worker;
  }
  void Succeed(const Grant& grant, const std::string& worker) {
    EXPECT_TRUE(Finish(grant.lease, JobState::kSucceeded, FailureClass::kNone, 0, worker).ok()) << worker;
  }
  // Longer than a lease, in which the broken one is not heard and `worker`, which has this place, and v are.
  void LoseTheBroken(const Grant& grant, const std::string& worker) {
    for (int i = 0; i < 12; ++i) {
      Pass(1000);
      Beat(worker, {grant.lease});
      Beat("v", {}, 1);
    }
  }
  // Past the pause before a retry; all are there, with all that they have.
  void WaitForRetry() {
    Pass(1000);
    for (const char* worker : {"bad", "u", "v"}) Beat(worker, {}, 1);
  }
  Worker Seen(const std::string& id) {
    const auto workers = manager->queries().ListWorkers(now);
    const auto found = std::find_if(workers->begin(), workers->end(), [&](const Worker& w) { return w.id == id; });
    return found == workers->end() ? Worker() : *found;
  }

 private:
  uint64_t polls_ = 0;
};

TEST_F(GangHealthTest, TheNextAttemptKeepsOutOfTheMembersWorkerThatFailedFirst) {
  SubmitGang(1, 2, 1);
  const Grant first = Take("u"), second = Take("bad");
  Fail(second, "bad");
  Fail(first, "u");
  ASSERT_EQ(State(1), JobState::kQueued);
  WaitForRetry();
  EXPECT_TRUE(GetsNothing("bad"));
  EXPECT_EQ(Take("u").lease.attempt, 2);
  EXPECT_EQ(Take("v").lease.attempt, 2);
}

TEST_F(GangHealthTest, TheNextAttemptKeepsOutOfTheLeadersWorkerWhereNoMemberHadFailed) {
  SubmitGang(1, 2, 1);
  const Grant first = Take("bad");
  Take("u");
  Fail(first, "bad");
  WaitForRetry();
  EXPECT_TRUE(GetsNothing("bad"));
  EXPECT_EQ(Take("u").lease.attempt, 2);
  EXPECT_EQ(Take("v").lease.attempt, 2);
}

// Rank 0 tells the others before its worker tells the coordinator, so they are heard first.
TEST_F(GangHealthTest, AMemberThatFailsBecauseTheLeaderDoesIsNotToBlame) {
  SubmitGang(1, 2, 1);
  const Grant first = Take("bad"), second = Take("u");
  FailForTheOther(second, "u", 1);
  Fail(first, "bad");
  WaitForRetry();
  EXPECT_TRUE(GetsNothing("bad"));
  EXPECT_EQ(Take("u").lease.attempt, 2);
  EXPECT_EQ(Take("v").lease.attempt, 2);
}

TEST_F(GangHealthTest, AMemberThatFailsBecauseTheLeadersJobCannotRunIsNotToBlame) {
  for (int job = 1; job <= 3; ++job) {
    SubmitGang(job, 2, 1);
    const Grant first = Take("bad"), second = Take("u");
    FailForTheOther(second, "u", 1);
    Fail(first, "bad", FailureClass::kOutOfMemory);
    EXPECT_EQ(State(job), JobState::kFailed);
  }
  for (const char* worker : {"bad", "u", "v"}) EXPECT_EQ(Seen(worker).hold, WorkerHold::kNone) << worker;
}

TEST_F(GangHealthTest, ALeaderThatMissesASilentMemberIsNotToBlame) {
  for (int job = 1; job <= 3; ++job) {
    SubmitGang(job, 2, 1);
    const Grant first = Take("u");
    Take("bad");
    FailForTheOther(first, "u", 0);
  }
  for (const char* worker : {"bad", "u", "v"}) EXPECT_EQ(Seen(worker).hold, WorkerHold::kNone) << worker;
  WaitForRetry();
  EXPECT_EQ(Take("u").lease.attempt, 2) << "nor is the job kept from it";
}

TEST_F(GangHealthTest, WhereAllRanksAreOnOneWorkerItIsToBlameWhicheverFailed) {
  Join("wide", 2);
  for (int job = 1; job <= 3; ++job) {
    SubmitGang(job, 2, 2);
    const std::vector<Grant> grants = Ask("wide", static_cast<uint64_t>(job), 2);
    ASSERT_EQ(grants.size(), 1u);
    FailForTheOther(grants[0], "wide", 0);
  }
  EXPECT_EQ(Seen("wide").hold, WorkerHold::kQuarantined);
}

TEST_F(GangHealthTest, AJobKeepsOutOfAMembersWorkerForAMinuteFromWhenItMayStartAgain) {
  SubmitGang(1, 2, 1);
  const Grant first = Take("u"), second = Take("bad");
  Fail(second, "bad");
  for (int i = 0; i < 8; ++i) {  // in which the leader delivers what it has
    Pass(1000);
    Beat("u", {first.lease});
  }
  Fail(first, "u");
  for (int i = 0; i < 12; ++i) {
    Pass(5000);
    for (const char* worker : {"bad", "u", "v"}) Beat(worker, {}, 1);
  }
  EXPECT_TRUE(GetsNothing("bad"));
  WaitForRetry();
  EXPECT_EQ(Take("bad").lease.attempt, 2);
}

TEST_F(GangHealthTest, WhereTheOtherWorkersAreNotEnoughItMayGoToAll) {
  SubmitGang(1, 3, 1);
  const Grant first = Take("u"), second = Take("bad"), third = Take("v");
  Fail(second, "bad");
  Fail(first, "u");
  WaitForRetry();
  EXPECT_THAT(manager->queries().Explain(Id(1), now)->reasons, Not(Contains(HasSubstr("just failed"))));
  for (const char* worker : {"u", "bad", "v"}) EXPECT_EQ(Take(worker).lease.attempt, 2) << worker;
}

TEST_F(GangHealthTest, OtherWorkersOfAnotherKindOfDeviceAreNotEnough) {
  RegisterRequest other;
  other.worker_id = other.name = "v";
  other.session = "a";
  other.device_kind = "cpu";
  other.devices = 1;
  ASSERT_TRUE(manager->workers().Register(other, now).ok());
  SubmitGang(1, 2, 1);
  const Grant first = Take("u"), second = Take("bad");
  Fail(second, "bad");
  Fail(first, "u");
  WaitForRetry();
  EXPECT_EQ(Take("u").lease.attempt, 2);
  EXPECT_EQ(Take("bad").lease.attempt, 2);
}

TEST_F(GangHealthTest, AMembersWorkerOnWhichThreeJobsFailedInARowGetsNoMore) {
  for (int job = 1; job <= 3; ++job) {
    SubmitGang(job, 2, 1);
    const Grant first = Take("u"), second = Take("bad");
    Fail(second, "bad");
    Fail(first, "u");
    WaitForRetry();
    const Grant leads = Take("u"), follows = Take("v");
    Succeed(follows, "v");
    Succeed(leads, "u");
    ASSERT_EQ(State(job), JobState::kSucceeded);
  }
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
  EXPECT_THAT(Seen("bad").hold_reason, HasSubstr("why"));
  EXPECT_EQ(Seen("u").hold, WorkerHold::kNone);
  EXPECT_EQ(Seen("v").hold, WorkerHold::kNone);
}

TEST_F(GangHealthTest, WorkersThatFailAfterTheFirstAreNotToBlame) {
  for (int job = 1; job <= 3; ++job) {
    SubmitGang(job, 3, 1);
    const Grant first = Take("u"), second = Take("bad"), third = Take("v");
    Fail(second, "bad");
    Fail(third, "v");
    Fail(first, "u");
  }
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
  EXPECT_EQ(Seen("u").hold, WorkerHold::kNone);
  EXPECT_EQ(Seen("v").hold, WorkerHold::kNone);
}

TEST_F(GangHealthTest, AfterACauseOfTheJobsOwnNoWorkerIsToBlame) {
  for (int job = 1; job <= 3; ++job) {
    SubmitGang(job, 3, 1);
    const Grant first = Take("u"), second = Take("bad"), third = Take("v");
    Fail(second, "bad", FailureClass::kOutOfMemory);
    Fail(third, "v");
    Fail(first, "u");
    EXPECT_EQ(State(job), JobState::kFailed);
  }
  for (const char* worker : {"bad", "u", "v"}) EXPECT_EQ(Seen(worker).hold, WorkerHold::kNone) << worker;
}

TEST_F(GangHealthTest, TheNextAttemptKeepsOutOfTheMembersWorkerThatWasLost) {
  SubmitGang(1, 2, 1);
  const Grant first = Take("u");
  Take("bad");
  LoseTheBroken(first, "u");
  ASSERT_EQ(State(1), JobState::kQueued);
  EXPECT_EQ(Get(1).restarts_without_progress, 0) << "the others could hold it";
  WaitForRetry();
  EXPECT_TRUE(GetsNothing("bad"));
  EXPECT_EQ(Take("u").lease.attempt, 2);
  EXPECT_EQ(Take("v").lease.attempt, 2);
}

TEST_F(GangHealthTest, TheNextAttemptKeepsOutOfTheLeadersWorkerThatWasLostAlone) {
  SubmitGang(1, 2, 1);
  Take("bad");
  const Grant second = Take("u");
  LoseTheBroken(second, "u");
  ASSERT_EQ(State(1), JobState::kQueued);
  WaitForRetry();
  EXPECT_TRUE(GetsNothing("bad"));
  EXPECT_EQ(Take("u").lease.attempt, 2);
  EXPECT_EQ(Take("v").lease.attempt, 2);
}

TEST_F(GangHealthTest, TheNextAttemptKeepsOutOfTheMembersWorkerWhoseNewDaemonHasNoRanks) {
  SubmitGang(1, 2, 1);
  Take("u");
  Take("bad");
  Join("bad", 1, "b");
  ASSERT_EQ(State(1), JobState::kQueued);
  EXPECT_EQ(Take("u").lease.attempt, 2);
  EXPECT_EQ(Take("v").lease.attempt, 2);
}

TEST_F(GangHealthTest, AMembersWorkerWithWhichThreeJobsWereLostInARowGetsNoMore) {
  for (int job = 1; job <= 3; ++job) {
    SubmitGang(job, 2, 1);
    const Grant first = Take("u");
    Take("bad");
    LoseTheBroken(first, "u");
    WaitForRetry();
    const Grant leads = Take("u"), follows = Take("v");
    Succeed(follows, "v");
    Succeed(leads, "u");
    ASSERT_EQ(State(job), JobState::kSucceeded);
  }
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
  EXPECT_THAT(Seen("bad").hold_reason, HasSubstr("the worker was lost while running it"));
  EXPECT_EQ(Seen("u").hold, WorkerHold::kNone);
  EXPECT_EQ(Seen("v").hold, WorkerHold::kNone);
}

TEST_F(GangHealthTest, AMemberThatIsLostAfterAnotherHadFailedIsNotToBlame) {
  for (int job = 1; job <= 3; ++job) {
    SubmitGang(job, 3, 1);
    const Grant first = Take("u");
    Take("bad");
    Fail(Take("v"), "v");
    LoseTheBroken(first, "u");
    ASSERT_TRUE(manager->clients().Cancel({"", {Id(job)}}, now).ok());
    WaitForRetry();
  }
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kNone);
  EXPECT_EQ(Seen("v").hold, WorkerHold::kQuarantined);
}

TEST_F(GangHealthTest, AStepOfTheWholeShowsThatEachOfItsMachinesIsWell) {
  for (int job = 1; job <= 4; ++job) {
    SubmitGang(job, 2, 1);
    const Grant first = Take("u"), second = Take("bad");
    if (job == 3) {
      ASSERT_TRUE(manager->workers().Report("u", first.lease, {Hello(1), Progress(2, 5)}, now).ok());
      EXPECT_TRUE(Finish(first.lease, JobState::kSucceeded, FailureClass::kNone, 2, "u").ok());
    } else {
      Fail(second, "bad");
      Fail(first, "u");
    }
  }
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kNone);
}

}  // namespace
}  // namespace sink
