// A fault of the machine is not a fault of the job: quarantine, the next attempt elsewhere, and what people say by
// hand.
#include <algorithm>
#include <numeric>

#include "coordinator/core/schedule.h"
#include "coordinator/core/worker_health.h"
#include "tests/coordinator/core/fixture.h"

namespace sink {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;

class HealthTest : public ManagerTest {
 protected:
  // The worker takes a job and its trainer ends before a step; the number of the job, 0 where it got none.
  int FailOne(const std::string& worker, uint64_t poll, int64_t steps = 0) {
    const std::vector<Grant> grants = Poll(poll, 1, worker);
    if (grants.empty()) return 0;
    const Lease lease = grants[0].lease;
    std::vector<Event> events = {Hello(1)};
    if (steps > 0) events.push_back(Progress(2, steps));
    EXPECT_TRUE(manager->workers().Report(worker, lease, events, now).ok());
    EXPECT_TRUE(Finish(lease, JobState::kFailed, FailureClass::kInfra, events.size(), worker).ok());
    return std::stoi(lease.job_id.substr(0, 8));
  }
  Worker Seen(const std::string& id) {
    const auto workers = manager->queries().ListWorkers(now);
    const auto found = std::find_if(workers->begin(), workers->end(), [&](const Worker& w) { return w.id == id; });
    return found == workers->end() ? Worker() : *found;
  }
  void KeepAlive(std::initializer_list<const char*> workers) {
    for (const char* id : workers) {
      ASSERT_TRUE(manager->workers().Heartbeat({id, "a", {}, 1}, now).ok());
    }
  }
  void PassMinutes(int minutes, std::initializer_list<const char*> alive) {
    for (int i = 0; i < minutes * 12; ++i) {
      Advance(5000);
      KeepAlive(alive);
      ASSERT_TRUE(manager->expiry().Tick(now).ok());
    }
  }
};

TEST_F(HealthTest, AWorkerOnWhichThreeJobsFailInARowGetsNoMore) {
  Submit({1, 2, 3, 4, 5, 6});
  Register("bad");
  EXPECT_EQ(FailOne("bad", 1), 1);
  EXPECT_EQ(FailOne("bad", 2), 2);
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kNone);
  EXPECT_EQ(FailOne("bad", 3), 3);
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
  EXPECT_THAT(Seen("bad").hold_reason, HasSubstr("why"));
  EXPECT_EQ(FailOne("bad", 4), 0);
  EXPECT_THAT(manager->queries().Explain(Id(4), now)->reasons, Contains(HasSubstr("worker bad is quarantined")));
  Register("good");
  EXPECT_EQ(Poll(1, 1, "good").size(), 1u);
}

TEST_F(HealthTest, AWorkerThatGivesItsJobsBackIsNotToBlame) {
  Submit({1, 2, 3});
  Register("w");
  const std::vector<Grant> grants = Poll(1, 3, "w");
  ASSERT_EQ(grants.size(), 3u);
  for (const Grant& grant : grants)
    ASSERT_TRUE(Finish(grant.lease, JobState::kCancelled, FailureClass::kNone, 0, "w").ok());
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

TEST_F(HealthTest, AnotherJobThatEndsWellMeanwhileDoesNotMakeAQuarantineLastForEver) {
  Submit({1, 2, 3, 4, 5});
  Register("w");
  const std::vector<Grant> grants = Poll(1, 1, "w");
  ASSERT_EQ(grants.size(), 1u);
  ASSERT_TRUE(manager->workers().Report("w", grants[0].lease, {Hello(1), Progress(2, 100)}, now).ok());
  for (uint64_t poll = 2; poll <= 4; ++poll) FailOne("w", poll);
  ASSERT_EQ(Seen("w").hold, WorkerHold::kQuarantined);
  ASSERT_EQ(*Finish(grants[0].lease, JobState::kSucceeded, FailureClass::kNone, 2, "w"), JobState::kSucceeded);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kQuarantined) << "what trained before the failures proves nothing of them";
  PassMinutes(11, {"w"});
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

TEST_F(HealthTest, AWorkerThatLeavesInQuarantineComesBackWithoutIt) {
  Submit({1, 2, 3, 4, 5, 6, 7, 8});
  Register("w");
  Register("other");
  for (uint64_t poll = 1; poll <= 3; ++poll) FailOne("w", poll);
  uint64_t poll = 4;
  for (const int minutes : {11, 21, 41}) {  // until a quarantine is longer than a silent worker stays in the lists
    PassMinutes(minutes, {"w", "other"});
    ASSERT_NE(FailOne("w", poll++), 0);
  }
  ASSERT_EQ(Seen("w").hold, WorkerHold::kQuarantined);
  PassMinutes(70, {"other"});
  ASSERT_EQ(Seen("w").id, "") << "retired";
  PassMinutes(20, {"other"});
  Register("w", {}, "b");
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

TEST_F(HealthTest, AStepInBetweenShowsThatTheMachineIsWell) {
  Submit({1, 2, 3, 4, 5, 6});
  Register("w");
  FailOne("w", 1);
  FailOne("w", 2);
  FailOne("w", 3, /*steps=*/5);
  FailOne("w", 4);
  FailOne("w", 5);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

// As when its disk has become read-only: what trains there fails when it saves, and what comes after cannot begin.
TEST_F(HealthTest, StepsFromBeforeTheFailuresDoNotShowThatTheMachineIsWell) {
  Submit({1, 2, 3, 4, 5});
  Register("w");
  const std::vector<Grant> grants = Poll(1, 1, "w");
  ASSERT_EQ(grants.size(), 1u);
  ASSERT_TRUE(manager->workers().Report("w", grants[0].lease, {Hello(1), Progress(2, 5)}, now).ok());
  Advance(100);
  FailOne("w", 2);
  FailOne("w", 3);
  Advance(100);
  ASSERT_TRUE(Finish(grants[0].lease, JobState::kFailed, FailureClass::kInfra, 2).ok());
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
  FailOne("w", 4);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kQuarantined);
}

TEST_F(HealthTest, AWorkerOnWhichNoCheckpointIsSafeBeforeThreeJobsFailInARowGetsNoMore) {
  Submit({1, 2, 3, 4});
  Register("full");
  for (int job = 1; job <= 3; ++job) {
    EXPECT_EQ(Seen("full").hold, WorkerHold::kNone);
    EXPECT_EQ(FailOne("full", static_cast<uint64_t>(job), /*steps=*/5), job);
    Advance(100);
  }
  EXPECT_EQ(Seen("full").hold, WorkerHold::kQuarantined);
  EXPECT_THAT(Seen("full").hold_reason, HasSubstr("before a checkpoint was safe; the last: why"));
  PassMinutes(11, {"full"});
  ASSERT_EQ(Seen("full").hold, WorkerHold::kNone);
  EXPECT_NE(FailOne("full", 4, /*steps=*/6), 0);
  EXPECT_EQ(Seen("full").hold, WorkerHold::kQuarantined) << "it trains well until it saves";
  PassMinutes(12, {"full"});
  EXPECT_EQ(Seen("full").hold, WorkerHold::kQuarantined) << "twice as long";
}

TEST_F(HealthTest, ACheckpointOrAWholeJobInBetweenShowsThatAllOfTheMachineIsWell) {
  Submit({1, 2, 3, 4, 5, 6, 7});
  Register("w");
  const auto start = [&](uint64_t poll) {
    const Lease lease = Start(poll);
    EXPECT_TRUE(manager->workers().Report("w", lease, {Progress(2, 5)}, now).ok());
    return lease;
  };
  FailOne("w", 1, /*steps=*/5);
  FailOne("w", 2, /*steps=*/5);
  const Lease saves = start(3);
  ASSERT_TRUE(manager->workers().CommitCheckpoint("w", saves, {5, "hash", {}, 2}, now).ok());
  ASSERT_TRUE(Finish(saves, JobState::kFailed, FailureClass::kInfra, 2).ok());
  FailOne("w", 4, /*steps=*/5);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
  ASSERT_TRUE(Finish(start(5), JobState::kSucceeded, FailureClass::kNone, 2).ok());
  FailOne("w", 6, /*steps=*/5);
  EXPECT_EQ(FailOne("w", 7, /*steps=*/5), 7);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

// As when the network is gone for longer than a lease.
TEST_F(HealthTest, FailuresAfterStepsOfAttemptsThatRanSideBySideCountAsOne) {
  Submit({1, 2, 3, 4, 5, 6});
  Register("w");
  const std::vector<Grant> grants = Poll(1, 4, "w");
  ASSERT_EQ(grants.size(), 4u);
  for (const Grant& grant : grants) {
    ASSERT_TRUE(manager->workers().Report("w", grant.lease, {Hello(1), Progress(2, 5)}, now).ok());
  }
  for (const Grant& grant : grants) {
    Advance(100);
    ASSERT_TRUE(Finish(grant.lease, JobState::kFailed, FailureClass::kInfra, 2).ok());
  }
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
  FailOne("w", 2, /*steps=*/5);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
  FailOne("w", 3, /*steps=*/5);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kQuarantined);
}

TEST_F(HealthTest, OneJobThatFailsAgainAndAgainIsItsOwnFault) {
  Submit({1});
  Register("w");
  for (uint64_t poll = 1; poll < 10; ++poll) {
    FailOne("w", poll);
    for (int i = 0; i < 10; ++i) {
      Pass(1000);
      KeepAlive({"w"});
    }
  }
  EXPECT_EQ(State(1), JobState::kFailed);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

TEST_F(HealthTest, TheNextAttemptGoesToAnotherWorkerWhereThereIsOne) {
  Submit({1});
  Register("bad");
  Register("good");
  EXPECT_EQ(FailOne("bad", 1), 1);
  Pass(2000);
  KeepAlive({"bad", "good"});
  EXPECT_THAT(Poll(2, 1, "bad"), IsEmpty());
  EXPECT_THAT(manager->queries().Explain(Id(1), now)->reasons, Contains(HasSubstr("it has just failed on bad")));
  EXPECT_EQ(Poll(1, 1, "good").size(), 1u);
}

TEST_F(HealthTest, AJobThatFailsAfterItsStepsGoesToAnotherWorkerToo) {
  Submit({1});
  Register("full");
  Register("good");
  EXPECT_EQ(FailOne("full", 1, /*steps=*/5), 1) << "where it cannot save, say";
  Pass(2000);
  KeepAlive({"full", "good"});
  EXPECT_THAT(Poll(2, 1, "full"), IsEmpty());
  EXPECT_EQ(Poll(1, 1, "good").size(), 1u);
}

TEST_F(HealthTest, AJobThatWasKeptFromAWorkerMayStartThereAMinuteAfterThePauseBeforeARetry) {
  Submit({1});
  Register("bad");
  Register("busy");
  EXPECT_EQ(FailOne("bad", 1), 1);
  for (int i = 0; i <= 12; ++i) {
    EXPECT_THAT(Poll(2, 1, "bad"), IsEmpty()) << i;
    Pass(5000);
    KeepAlive({"bad", "busy"});
  }
  EXPECT_EQ(Poll(2, 1, "bad").size(), 1u);
}

TEST_F(HealthTest, AJobThatABrokenWorkerFailsAgainAndAgainIsNotLostWhileTheOthersAreBusy) {
  Submit({1});
  Register("bad");
  Register("busy");
  int attempts = 0;
  for (uint64_t minute = 1; minute <= 12 * 60; ++minute) {
    attempts += FailOne("bad", minute);
    PassMinutes(1, {"bad", "busy"});
  }
  EXPECT_THAT(attempts, AllOf(Ge(6), Le(9))) << "after 1, 10, 20, 40, 80, 160 and 240 minutes";
  EXPECT_EQ(State(), JobState::kQueued);
  EXPECT_EQ(Get().failures.infra, 1) << "of this worker, one counts";
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kNone) << "it is one job that fails there";
  EXPECT_EQ(Poll(1, 1, "busy").size(), 1u);
}

TEST_F(HealthTest, AJobThatFailsOnFourBrokenWorkersIsStillForTheFifth) {
  Submit({1});
  for (const char* worker : {"a", "b", "c", "d", "good"}) Register(worker);
  for (const char* worker : {"a", "b", "c", "d"}) {
    EXPECT_EQ(FailOne(worker, 1), 1) << worker;
    Pass(9'000);
    KeepAlive({"a", "b", "c", "d", "good"});
  }
  EXPECT_EQ(Get().failures.infra, 4);
  EXPECT_EQ(Poll(1, 1, "good").size(), 1u);
}

TEST_F(HealthTest, AJobThatFailsWhereverItIsTriedFails) {
  Submit({1});
  Register("a");
  Register("b");
  int attempts = 0;
  for (uint64_t poll = 1; poll <= 20 && State() != JobState::kFailed; ++poll) {
    attempts += FailOne(poll % 2 == 0 ? "a" : "b", poll);
    PassMinutes(5, {"a", "b"});
  }
  EXPECT_EQ(State(), JobState::kFailed);
  EXPECT_EQ(attempts, 5) << "the first, when another worker had not tried it, and four";
  EXPECT_THAT(Get().message, HasSubstr("gave up after 3 restarts"));
}

TEST_F(HealthTest, WhatFailsOnAWorkerThatHasTrainedSinceCountsAgain) {
  Submit({1, 2});
  Register("w");
  Register("busy");
  EXPECT_EQ(FailOne("w", 1), 1);
  const Lease lease = Start(2, "w");
  ASSERT_EQ(lease.job_id, Id(2));
  ASSERT_TRUE(manager->workers().Report("w", lease, {Progress(2, 100)}, now).ok());
  ASSERT_EQ(*Finish(lease, JobState::kSucceeded, FailureClass::kNone, 2, "w"), JobState::kSucceeded);
  Pass(2000);
  KeepAlive({"w", "busy"});
  EXPECT_EQ(FailOne("w", 3), 1) << "the worker is well, so the job may try it again";
  EXPECT_EQ(Get().failures.infra, 2);
}

TEST_F(HealthTest, AJobMayTryAWorkerAgainWhoseDaemonHasStartedAnew) {
  Submit({1});
  Register("bad");
  Register("busy");
  EXPECT_EQ(FailOne("bad", 1), 1);
  Pass(2000);
  KeepAlive({"bad", "busy"});
  EXPECT_THAT(Poll(2, 1, "bad"), IsEmpty());
  Register("bad", {}, "b");
  EXPECT_EQ(Poll(1, 1, "bad", "b").size(), 1u);
}

TEST_F(HealthTest, APersonMaySendAJobBackToTheWorkerOnWhichItFailed) {
  Submit({1});
  Register("bad");
  Register("busy");
  EXPECT_EQ(FailOne("bad", 1, /*steps=*/5), 1);
  Pass(2000);
  KeepAlive({"bad", "busy"});
  EXPECT_THAT(Poll(2, 1, "bad"), IsEmpty());
  EXPECT_THAT(manager->queries().Explain(Id(1), now)->reasons,
              Contains(HasSubstr("for up to 1 min it starts elsewhere, unless: sinkctl uncordon bad")));
  ASSERT_TRUE(manager->clients().HoldWorkers({"bad"}, WorkerHold::kNone, "").ok());
  EXPECT_EQ(Poll(3, 1, "bad").size(), 1u);
}

TEST_F(HealthTest, AWorkerThatHasNoJobAndOffersLessThanItHasIsNamed) {
  Submit({1});
  Register("w");
  const auto names_it = Contains(HasSubstr("worker w has no job and keeps 8 of its 8 devices out of use"));
  EXPECT_THAT(manager->queries().Explain(Id(1), now)->reasons, Not(names_it));
  ASSERT_TRUE(manager->workers().Heartbeat({"w", "a", {}, /*devices_free=*/0}, now).ok());
  EXPECT_THAT(manager->queries().Explain(Id(1), now)->reasons, names_it);
}

TEST_F(HealthTest, AJobThatIsKeptFromAWorkerDoesNotHoldUpThoseBehindIt) {
  Submit({1, 2, 3});
  Register("bad");
  Register("busy");
  EXPECT_EQ(FailOne("bad", 1), 1);
  Pass(2000);
  KeepAlive({"bad", "busy"});
  const std::vector<Grant> grants = Poll(2, 2, "bad");
  ASSERT_EQ(grants.size(), 2u);
  EXPECT_EQ(grants[0].lease.job_id, Id(2));
  EXPECT_EQ(grants[1].lease.job_id, Id(3));
  EXPECT_THAT(Poll(3, 1, "bad"), IsEmpty());
  EXPECT_EQ(Start(1, "busy").job_id, Id(1));
}

TEST_F(HealthTest, WhatIsBehindAJobThatIsKeptFromAWorkerWaitsForItsTurn) {
  ASSERT_TRUE(manager->clients().Submit(Sweep({1}, "s"), now).ok());
  ASSERT_TRUE(manager->clients().Submit(Sweep({2}, "t"), now).ok());
  ASSERT_TRUE(manager->clients().Submit(Sweep({1, 3}, "s"), now).ok());
  Register("bad");
  Register("busy");
  EXPECT_EQ(FailOne("bad", 1), 1);
  Pass(2000);
  KeepAlive({"bad", "busy"});
  EXPECT_EQ(Start(2, "bad").job_id, Id(2)) << "it was submitted before";
  EXPECT_EQ(Start(3, "bad").job_id, Id(3));
}

TEST_F(HealthTest, AQuestionPassesOverSoManyJobsThatAreKeptFromItsWorkerAndNotOneMore) {
  constexpr int kKept = static_cast<int>(Schedule::kMostPassedOver) + 1;
  std::vector<int> jobs(kKept + 1);
  std::iota(jobs.begin(), jobs.end(), 1);
  Submit(jobs);
  RegisterRequest wide;
  wide.worker_id = wide.name = "bad";
  wide.session = "a";
  wide.devices = kKept;
  ASSERT_TRUE(manager->workers().Register(wide, now).ok());
  Register("busy");
  const std::vector<Grant> grants = Poll(1, kKept, "bad");
  ASSERT_EQ(grants.size(), static_cast<size_t>(kKept));
  // Side by side and after steps: that is one failure of the worker, and no quarantine.
  for (const Grant& grant : grants) {
    ASSERT_TRUE(manager->workers().Report("bad", grant.lease, {Hello(1), Progress(2, 5)}, now).ok());
  }
  Advance(100);
  for (const Grant& grant : grants) {
    ASSERT_TRUE(Finish(grant.lease, JobState::kFailed, FailureClass::kInfra, 2, "bad").ok());
  }
  Pass(2000);
  KeepAlive({"bad", "busy"});
  ASSERT_EQ(Seen("bad").hold, WorkerHold::kNone);
  EXPECT_THAT(Poll(2, 1, "bad"), IsEmpty()) << "one too many is before the last job";
  EXPECT_EQ(Start(1, "busy").job_id, Id(1));
  EXPECT_EQ(Start(3, "bad").job_id, Id(kKept + 1));
}

TEST_F(HealthTest, TheEndOfSuchAWhileIsAReasonToLookAgain) {
  Submit({1});
  Register("bad");
  EXPECT_EQ(FailOne("bad", 1), 1);
  Pass(WorkerHealth::kAvoidMs);  // and it has been queued for a second less
  const uint64_t before = manager->dispatcher().placement().version();
  Pass(500);
  EXPECT_EQ(manager->dispatcher().placement().version(), before);
  Pass(500);
  EXPECT_GT(manager->dispatcher().placement().version(), before);
}

TEST_F(HealthTest, WhatFailsWhileItIsCancelledIsNoFaultOfTheWorker) {
  Submit({1, 2, 3});
  Register("w");
  for (const Grant& grant : Poll(1, 3, "w")) {
    ASSERT_TRUE(manager->clients().Cancel({"", {grant.lease.job_id}}, now).ok());
    ASSERT_EQ(*Finish(grant.lease, JobState::kFailed, FailureClass::kInfra, 0, "w"), JobState::kCancelled);
  }
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

TEST_F(HealthTest, WithoutAnotherWorkerTheNextAttemptStaysWhereItWas) {
  Submit({1});
  Register("only");
  EXPECT_EQ(FailOne("only", 1), 1);
  Pass(2000);
  KeepAlive({"only"});
  EXPECT_EQ(Poll(2, 1, "only").size(), 1u);
}

TEST_F(HealthTest, AQuarantineEndsByItselfAndOneMoreFailureBringsItBackForLonger) {
  Submit({1, 2, 3, 4, 5, 6});
  Register("w");
  for (uint64_t poll = 1; poll <= 3; ++poll) FailOne("w", poll);
  const auto pass = [&](int minutes) { PassMinutes(minutes, {"w"}); };
  pass(9);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kQuarantined);
  pass(2);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
  EXPECT_NE(FailOne("w", 4), 0);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kQuarantined);
  pass(12);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kQuarantined) << "twice as long";
  pass(10);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
  FailOne("w", 5, /*steps=*/1);
  FailOne("w", 6);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

TEST_F(HealthTest, AQuarantineOutlivesTheCoordinatorAndEndsWithTheDaemon) {
  Submit({1, 2, 3, 4});
  Register("w");
  for (uint64_t poll = 1; poll <= 3; ++poll) FailOne("w", poll);
  Restart();
  EXPECT_EQ(Seen("w").hold, WorkerHold::kQuarantined);
  Register("w", {}, "a");
  EXPECT_EQ(Seen("w").hold, WorkerHold::kQuarantined) << "the same daemon";
  Register("w", {}, "b");
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

TEST_F(HealthTest, AHoldOutlivesThatItsWorkerLeaves) {
  Register("w");
  ASSERT_TRUE(manager->clients().HoldWorkers({"w"}, WorkerHold::kCordoned, "new disk").ok());
  ASSERT_TRUE(manager->workers().Heartbeat({.worker_id = "w", .session = "a", .leaving = true}, now).ok());
  EXPECT_EQ(Seen("w").state, WorkerState::kStopped);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kCordoned);
  Register("w", {}, "b");
  EXPECT_EQ(Seen("w").hold, WorkerHold::kCordoned) << "until a person says otherwise";
}

TEST_F(HealthTest, CordonDrainAndUncordonByHand) {
  Submit({1, 2, 3});
  Register("w");
  const Lease lease = Start(1);
  ASSERT_TRUE(manager->clients().HoldWorkers({"w"}, WorkerHold::kCordoned, "new disk").ok());
  EXPECT_THAT(Poll(2), IsEmpty());
  EXPECT_THAT(Heartbeat({lease})->hand_back, IsEmpty());
  EXPECT_EQ(Seen("w").hold_reason, "new disk");
  Register("w", {lease}, "b");
  EXPECT_EQ(Seen("w").hold, WorkerHold::kCordoned) << "until a person says otherwise";
  ASSERT_TRUE(manager->clients().HoldWorkers({"w"}, WorkerHold::kDraining, "").ok());
  EXPECT_THAT(Heartbeat({lease}, JobState::kRunning, "w", "b")->hand_back, ElementsAre(lease));
  ASSERT_TRUE(manager->clients().HoldWorkers({"w"}, WorkerHold::kNone, "").ok());
  EXPECT_THAT(Heartbeat({lease}, JobState::kRunning, "w", "b")->hand_back, IsEmpty());
  EXPECT_EQ(Poll(3, 1, "w", "b").size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(manager->clients().HoldWorkers({"w", "nobody"}, WorkerHold::kCordoned, "")));
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone) << "nothing has changed";
}

TEST_F(HealthTest, AGangGetsNoPlaceOnAWorkerThatIsHeld) {
  Register("u");
  Register("v");
  SubmitRequest request = Sweep({1});
  request.devices = 16;
  request.per_worker = 8;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  ASSERT_TRUE(manager->clients().HoldWorkers({"v"}, WorkerHold::kCordoned, "").ok());
  EXPECT_THAT(Poll(1, 8, "u"), IsEmpty());
  ASSERT_TRUE(manager->clients().HoldWorkers({"v"}, WorkerHold::kNone, "").ok());
  EXPECT_EQ(Poll(2, 8, "u").size(), 1u);
}

}  // namespace
}  // namespace sink
