// A machine that dies under its jobs reports nothing: that its worker is lost with them is held against it as failures
// that a worker reports are, where the loss says something of the machine.
#include <algorithm>
#include <map>

#include "coordinator/core/lease_clock.h"
#include "coordinator/core/worker_health.h"
#include "tests/coordinator/core/fixture.h"

namespace sink {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;

class LostWorkerTest : public ManagerTest {
 protected:
  using Names = std::vector<std::string>;

  // Its first daemon, or one that knows nothing of what the one before did.
  void Boot(const std::string& worker) { Register(worker, {}, "boot-" + std::to_string(++boots_[worker])); }
  std::string Session(const std::string& worker) { return "boot-" + std::to_string(boots_[worker]); }
  void Beat(const std::string& worker) {
    ASSERT_TRUE(manager->workers().Heartbeat({worker, Session(worker), {}, 1}, now).ok()) << worker;
  }
  void SayGoodbye(const std::string& worker) {
    const HeartbeatRequest request = {.worker_id = worker, .session = Session(worker), .leaving = true};
    ASSERT_TRUE(manager->workers().Heartbeat(request, now).ok()) << worker;
  }
  // Time in which these workers alone are heard.
  void PassWith(const Names& alive, int64_t ms) {
    for (; ms > 0; ms -= 1000) {
      Advance(1000);
      for (const std::string& worker : alive) Beat(worker);
      ASSERT_TRUE(manager->expiry().Tick(now).ok());
    }
  }
  std::vector<Grant> Ask(const std::string& worker, int devices = 1) {
    return Poll(++polls_, devices, worker, Session(worker));
  }
  // Takes a job and trains it for so many steps; its number, or 0 where there is none.
  int Begin(const std::string& worker, int64_t steps = 0) {
    const std::vector<Grant> grants = Ask(worker);
    if (grants.empty()) return 0;
    std::vector<Event> events = {Hello(1)};
    if (steps > 0) events.push_back(Progress(2, steps));
    EXPECT_TRUE(manager->workers().Report(worker, grants[0].lease, events, now).ok());
    return std::stoi(grants[0].lease.job_id.substr(0, 8));
  }
  // The machine dies under the job and is back, with a new daemon, after the lease and the pause before a retry.
  int DieUnderOne(const std::string& worker, const Names& alive, int64_t steps = 0) {
    const int job = Begin(worker, steps);
    if (job == 0) return 0;
    PassWith(alive, 20'000);
    Boot(worker);
    return job;
  }
  Worker Seen(const std::string& id) {
    const auto workers = manager->queries().ListWorkers(now);
    const auto found = std::find_if(workers->begin(), workers->end(), [&](const Worker& w) { return w.id == id; });
    return found == workers->end() ? Worker() : *found;
  }
  std::vector<std::string> Why(int job) { return manager->queries().Explain(Id(job), now)->reasons; }

 private:
  std::map<std::string, int> boots_;
  uint64_t polls_ = 0;
};

TEST_F(LostWorkerTest, TheNextAttemptGoesElsewhereAlsoAfterTheWorkersNewDaemonHasRegistered) {
  Submit({1});
  Boot("bad");
  Boot("well");
  EXPECT_EQ(DieUnderOne("bad", {"well"}), 1);
  ASSERT_EQ(State(), JobState::kQueued);
  EXPECT_THAT(Ask("bad"), IsEmpty());
  EXPECT_THAT(Why(1), Contains(HasSubstr("it has just failed on bad")));
  Boot("bad");
  EXPECT_THAT(Ask("bad"), IsEmpty()) << "it may have died once more";
  EXPECT_EQ(Begin("well"), 1);
}

TEST_F(LostWorkerTest, SoItDoesWhereTheNewDaemonComesBeforeTheLeaseHasRunOut) {
  Submit({1});
  Boot("bad");
  Boot("well");
  EXPECT_EQ(Begin("bad"), 1);
  PassWith({"well"}, 5'000);
  Boot("bad");
  ASSERT_EQ(State(), JobState::kQueued);
  EXPECT_EQ(expirations, 0);
  EXPECT_THAT(Ask("bad"), IsEmpty());
  EXPECT_EQ(Begin("well"), 1);
}

TEST_F(LostWorkerTest, AJobMayTryItAgainAfterAMinute) {
  Submit({1});
  Boot("bad");
  Boot("busy");
  EXPECT_EQ(DieUnderOne("bad", {"busy"}), 1);
  PassWith({"bad", "busy"}, WorkerHealth::kAvoidMs);
  EXPECT_EQ(Begin("bad"), 1);
}

TEST_F(LostWorkerTest, AJobWhoseWorkerDiesAgainAndAgainIsNotLostWhileTheOthersAreBusy) {
  Submit({1});
  Boot("bad");
  Boot("busy");
  int attempts = 0;
  for (int minute = 0; minute < 3 * 60; ++minute) {
    if (DieUnderOne("bad", {"busy"}) != 0) ++attempts;
    PassWith({"bad", "busy"}, 60'000);
  }
  EXPECT_THAT(attempts, AllOf(Ge(5), Le(7))) << "after 1, 10, 20, 40 and 80 minutes";
  EXPECT_EQ(State(), JobState::kQueued);
  EXPECT_EQ(Get().failures.infra, 1) << "of this worker, one counts";
  EXPECT_EQ(Get().restarts_without_progress, 0);
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kNone) << "it is one job that is lost there";
  EXPECT_EQ(Begin("busy"), 1);
}

TEST_F(LostWorkerTest, WithoutAnotherWorkerThreeRestartsWithoutAStepEndTheJob) {
  Submit({1});
  Boot("only");
  for (int attempt = 1; attempt <= 4; ++attempt) {
    ASSERT_EQ(State(), JobState::kQueued) << attempt;
    EXPECT_EQ(DieUnderOne("only", {}), 1) << attempt;
  }
  EXPECT_EQ(State(), JobState::kFailed);
  EXPECT_THAT(Get().message, AllOf(HasSubstr("gave up after 3 restarts"), HasSubstr("was not heard from")));
}

TEST_F(LostWorkerTest, OneThatIsNotConnectedIsNoOtherWorker) {
  Submit({1});
  Boot("off");
  PassWith({}, 60'000);
  Boot("only");
  EXPECT_EQ(DieUnderOne("only", {}), 1);
  EXPECT_EQ(Get().restarts_without_progress, 1);
  EXPECT_EQ(Begin("only"), 1);
}

TEST_F(LostWorkerTest, AWorkerWithWhichThreeJobsAreLostInARowComesBackInQuarantine) {
  Submit({1, 2, 3, 4, 5});
  Boot("bad");
  Boot("well");
  for (int job = 1; job <= 3; ++job) {
    EXPECT_EQ(Seen("bad").hold, WorkerHold::kNone) << job;
    EXPECT_EQ(DieUnderOne("bad", {"well"}), job);
  }
  EXPECT_EQ(Seen("bad").state, WorkerState::kConnected);
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
  EXPECT_EQ(Seen("bad").hold_reason,
            "one job after the other failed there before a training step; the last: the worker was lost while running "
            "it");
  EXPECT_THAT(Ask("bad"), IsEmpty());
  EXPECT_THAT(Why(4), Contains(HasSubstr("worker bad is quarantined: one job after the other failed there")));
  EXPECT_EQ(Seen("well").hold, WorkerHold::kNone);
}

TEST_F(LostWorkerTest, SoDoesOneThatComesBackBeforeItsLeasesHaveRunOut) {
  Submit({1, 2, 3, 4});
  Boot("bad");
  Boot("well");
  for (int job = 1; job <= 3; ++job) {
    EXPECT_EQ(Begin("bad"), job);
    PassWith({"well"}, 5'000);
    Boot("bad");
  }
  EXPECT_EQ(expirations, 0);
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
}

TEST_F(LostWorkerTest, SuchAQuarantineEndsWithItsTimeAndOneMoreLossBringsItBackForLonger) {
  Submit({1, 2, 3, 4, 5});
  Boot("bad");
  Boot("well");
  for (int job = 1; job <= 3; ++job) EXPECT_EQ(DieUnderOne("bad", {"well"}), job);
  Boot("bad");
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined) << "a new daemon alone is no mended machine";
  PassWith({"bad", "well"}, WorkerHealth::kFirstQuarantineMs);
  ASSERT_EQ(Seen("bad").hold, WorkerHold::kNone);
  EXPECT_NE(DieUnderOne("bad", {"well"}), 0);
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
  PassWith({"bad", "well"}, WorkerHealth::kFirstQuarantineMs + 60'000);
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined) << "twice as long";
}

TEST_F(LostWorkerTest, ADaemonThatIsStartedAfterAGoodbyeOrAPersonEndsIt) {
  Submit({1, 2, 3, 4, 5, 6});
  Boot("bad");
  Boot("well");
  for (int job = 1; job <= 3; ++job) EXPECT_EQ(DieUnderOne("bad", {"well"}), job);
  ASSERT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
  SayGoodbye("bad");
  Boot("bad");
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kNone);
  for (int job = 1; job <= 3; ++job) EXPECT_EQ(DieUnderOne("bad", {"well"}), job) << "each may try it again";
  ASSERT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
  ASSERT_TRUE(manager->clients().HoldWorkers({"bad"}, WorkerHold::kNone, "").ok());
  EXPECT_EQ(Begin("bad"), 1);
}

TEST_F(LostWorkerTest, AStepInBetweenShowsThatTheMachineCanTrain) {
  Submit({1, 2, 3, 4, 5});
  Boot("w");
  Boot("other");
  for (const int64_t steps : {0, 0, 5, 0, 0}) EXPECT_NE(DieUnderOne("w", {"other"}, steps), 0);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

TEST_F(LostWorkerTest, AWorkerWithWhichJobsAreLostAfterStepsBeforeACheckpointIsSafeGetsNoMore) {
  Submit({1, 2, 3, 4});
  Boot("bad");
  Boot("well");
  for (int job = 1; job <= 3; ++job) EXPECT_EQ(DieUnderOne("bad", {"well"}, /*steps=*/5), job);
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
  EXPECT_THAT(Seen("bad").hold_reason,
              HasSubstr("before a checkpoint was safe; the last: the worker was lost while running it"));
}

TEST_F(LostWorkerTest, JobsThatAreLostWithItAtOnceCountAsOne) {
  Submit({1, 2, 3, 4, 5, 6});
  Boot("bad");
  Boot("well");
  ASSERT_EQ(Ask("bad", /*devices=*/3).size(), 3u);
  PassWith({"well"}, 20'000);
  Boot("bad");
  ASSERT_EQ(expirations, 3);
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kNone);
  EXPECT_EQ(DieUnderOne("bad", {"well"}), 4) << "each of them is kept from it";
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kNone);
  EXPECT_EQ(DieUnderOne("bad", {"well"}), 5);
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
}

TEST_F(LostWorkerTest, SoTheyDoWhenTheClockIsSetBackMeanwhile) {
  Submit({1, 2, 3});
  Boot("w");
  Boot("well");
  ASSERT_EQ(Ask("w", /*devices=*/3).size(), 3u);
  now.unix_ms -= 30 * 60'000;
  PassWith({"well"}, 20'000);
  ASSERT_EQ(expirations, 3);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

TEST_F(LostWorkerTest, SoTheyDoWhenTheCoordinatorStartsAnewMeanwhile) {
  Submit({1, 2, 3});
  Boot("w");
  Boot("well");
  std::vector<HeldJob> held;
  for (const Grant& grant : Ask("w", /*devices=*/3)) held.push_back({grant.lease, JobState::kRunning});
  ASSERT_EQ(held.size(), 3u);
  now.unix_ms -= 30 * 60'000;
  Restart();
  ASSERT_TRUE(manager->workers().Heartbeat({"w", Session("w"), held, 0}, now).ok());
  PassWith({"well"}, 20'000);
  ASSERT_EQ(expirations, 3);
  EXPECT_EQ(Seen("w").hold, WorkerHold::kNone);
}

TEST_F(LostWorkerTest, AClockThatIsSetAheadAgainAndAgainHidesNoBadWorker) {
  Submit({1, 2, 3, 4});
  Boot("bad");
  Boot("well");
  for (int job = 1; job <= 3; ++job) {
    EXPECT_EQ(Begin("bad", /*steps=*/5), job);
    now.unix_ms += 30 * 60'000;
    PassWith({"well"}, 20'000);
    Boot("bad");
  }
  EXPECT_EQ(Seen("bad").hold, WorkerHold::kQuarantined);
}

TEST_F(LostWorkerTest, WhereTheNetworkTakesSeveralWorkersAtOnceNoneIsToBlame) {
  Submit({1, 2, 3, 4, 5, 6, 7, 8});
  for (const char* worker : {"u", "v", "well"}) Boot(worker);
  for (int cut = 1; cut <= 4; ++cut) {
    const int first = Begin("u"), second = Begin("v");
    ASSERT_NE(first, 0) << cut;
    ASSERT_NE(second, 0) << cut;
    PassWith({"well"}, 20'000);
    ASSERT_EQ(expirations, 2 * cut);
    EXPECT_EQ(State(first), JobState::kQueued);
    EXPECT_EQ(Get(first).restarts_without_progress, 0);
    Beat("u");
    Beat("v");
    EXPECT_THAT(Why(first), Contains(HasSubstr("it has just failed on "))) << "it may be its wire";
  }
  EXPECT_EQ(Seen("u").hold, WorkerHold::kNone);
  EXPECT_EQ(Seen("v").hold, WorkerHold::kNone);
}

TEST_F(LostWorkerTest, WhatRunsOutAfterAGoodbyeSaysNothingOfTheMachine) {
  Submit({1, 2, 3});
  Boot("w");
  Boot("other");
  for (int job = 1; job <= 3; ++job) {
    EXPECT_EQ(Begin("w"), job);
    SayGoodbye("w");
    PassWith({"other"}, 20'000);
    ASSERT_EQ(State(job), JobState::kQueued);
    EXPECT_EQ(Get(job).restarts_without_progress, 0);
    EXPECT_EQ(Seen("w").hold, WorkerHold::kNone) << job;
    Boot("w");
    ASSERT_TRUE(manager->clients().Cancel({"", {Id(job)}}, now).ok());
  }
}

TEST_F(LostWorkerTest, WhatADaemonThatIsStartedAfterAGoodbyeDoesNotHaveIsNotKeptFromIt) {
  Submit({1, 2});
  Boot("w");
  Boot("other");
  EXPECT_EQ(Begin("w"), 1);
  SayGoodbye("w");
  Boot("w");
  ASSERT_EQ(State(1), JobState::kQueued);
  EXPECT_EQ(Begin("w"), 1);
}

TEST_F(LostWorkerTest, WhoIsNotHeardSinceTheCoordinatorStartedIsNotToBlame) {
  Submit({1});
  Boot("w");
  Boot("other");
  EXPECT_EQ(Begin("w"), 1);
  Restart();
  PassWith({"other"}, 20'000);
  ASSERT_EQ(State(), JobState::kQueued);
  EXPECT_EQ(Get().restarts_without_progress, 0) << "the other could have it";
  Boot("w");
  EXPECT_EQ(Begin("w"), 1);
}

TEST(LeaseClock, AWorkerFallsSilentWithAnotherThatWasLastHeardThenAndNotSince) {
  constexpr int64_t kLateMs = 2'000;
  LeaseClock clock;
  const auto hear = [&](const std::string& id, int64_t at_ms) { clock.HearWorker(id, 1, at_ms, at_ms); };
  const auto alone = [&] { return !clock.FellSilentWithAnother("w", kLateMs, /*steady_ms=*/20'000); };
  EXPECT_TRUE(alone()) << "nobody knows it";
  hear("w", 10'000);
  EXPECT_TRUE(alone());
  hear("gone before", 7'999);
  EXPECT_TRUE(alone());
  hear("rests", 7'000);
  clock.LetRest("rests", 1'000);
  EXPECT_FALSE(alone()) << "it may have been well a second longer";
  hear("rests", 19'000);
  EXPECT_TRUE(alone()) << "it is back";
  hear("leaves", 10'500);
  EXPECT_FALSE(alone());
  clock.SetSession("leaves", "a");
  ASSERT_TRUE(clock.Leave("leaves", "a", 10'600, 10'600).has_value());
  EXPECT_TRUE(alone()) << "it said that it would be silent";
}

}  // namespace
}  // namespace sink
