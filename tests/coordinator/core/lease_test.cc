// Leases: who gets which job, when a lease is late, lost, kept or refused.
#include "coordinator/errors/error_detail.h"
#include "tests/coordinator/core/fixture.h"

namespace sink {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class LeaseTest : public ManagerTest {};

TEST_F(LeaseTest, GrantsFollowPriorityAndSubmissionAndFit) {
  SubmitRequest big = Sweep({1}, "big");
  big.devices = 16;  // more than any worker has: it keeps nothing from the others
  big.priority = 9;
  ASSERT_TRUE(manager->clients().Submit(big, now).ok());
  SubmitRequest urgent = Sweep({4}, "urgent");
  urgent.priority = 5;
  Submit({2, 3});
  ASSERT_TRUE(manager->clients().Submit(urgent, now).ok());
  Register();
  Advance(2500);
  const std::vector<Grant> grants = Poll(1, 2);
  ASSERT_EQ(grants.size(), 2u);
  EXPECT_EQ(grants[0].lease.job_id, Id(4));
  EXPECT_EQ(grants[1].lease.job_id, Id(2));
  EXPECT_THAT(dispatched, ElementsAre(2.5, 2.5));
  EXPECT_EQ(Poll(2, 1)[0].lease.job_id, Id(3));
}

TEST_F(LeaseTest, WhatIsFirstIsNotPassedByWhatWouldDelayIt) {
  SubmitRequest big = Sweep({1}, "big");
  big.devices = 8;
  big.priority = 9;
  ASSERT_TRUE(manager->clients().Submit(big, now).ok());
  Submit({2});
  Register();
  EXPECT_THAT(Poll(1, 2), IsEmpty()) << "job 2 has no time limit and job 1 needs the whole worker";
  EXPECT_EQ(Poll(2, 8)[0].lease.job_id, Id(1));
}

TEST_F(LeaseTest, MaxParallelIsNeverExceeded) {
  SubmitRequest request = Sweep({1, 2, 3});
  request.max_parallel = 2;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  Register();
  const std::vector<Grant> grants = Poll(1, 8);
  EXPECT_EQ(grants.size(), 2u);
  EXPECT_THAT(Poll(2, 8), IsEmpty());
  ASSERT_TRUE(Finish(grants[0].lease, JobState::kSucceeded).ok());
  EXPECT_EQ(Poll(3, 8).size(), 1u);
}

TEST_F(LeaseTest, ARepeatedPollGetsTheSameGrantsAndALateCopyGetsNone) {
  Submit({1, 2});
  Register();
  const std::vector<Grant> first = Poll(1, 1), again = Poll(1, 1);
  ASSERT_EQ(first.size(), 1u);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(first[0].lease, again[0].lease);
  EXPECT_EQ(State(2), JobState::kQueued);
  EXPECT_EQ(Poll(2, 1)[0].lease.job_id, Id(2));
  Submit({1, 2, 3});
  EXPECT_THAT(Poll(1, 1), IsEmpty());
  EXPECT_EQ(State(3), JobState::kQueued);
}

TEST_F(LeaseTest, FencesGrowAcrossRestarts) {
  Submit({1, 2});
  Register();
  const Lease before = Start(1);
  Restart();
  const Lease after = Start(2);
  EXPECT_GT(after.fence, before.fence);
  EXPECT_EQ(after.fence >> 32, (before.fence >> 32) + 1);
}

TEST_F(LeaseTest, EveryPartOfTheLeaseIsChecked) {
  Submit({1, 2});
  Register();
  const Lease lease = Start(1);
  auto report = [&](Lease wrong, const std::string& worker = "w") {
    return manager->workers().Report(worker, wrong, {Progress(2, 5)}, now).status();
  };
  Lease wrong = lease;
  wrong.job_id = Id(2);
  EXPECT_TRUE(IsStaleLease(report(wrong)));
  wrong = lease;
  ++wrong.attempt;
  EXPECT_TRUE(IsStaleLease(report(wrong)));
  wrong = lease;
  --wrong.fence;
  EXPECT_TRUE(IsStaleLease(report(wrong)));
  wrong = lease;
  wrong.id += "0";
  EXPECT_TRUE(IsStaleLease(report(wrong)));
  EXPECT_TRUE(IsStaleLease(report(lease, "other")));
  wrong.job_id = "nonsense";
  EXPECT_TRUE(IsStaleLease(report(wrong)));
  EXPECT_EQ(Get().progress.step, 0);
  EXPECT_TRUE(report(lease).ok());
  EXPECT_EQ(Get().progress.step, 5);
}

TEST_F(LeaseTest, ALateWorkerIsDisconnectedAndMayReturnToItsPhase) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  Pass(2000);
  EXPECT_EQ(State(), JobState::kRunning);
  Pass(1000);
  EXPECT_EQ(State(), JobState::kDisconnected);
  ASSERT_TRUE(Heartbeat({lease}).ok());
  EXPECT_EQ(State(), JobState::kRunning);
  ASSERT_TRUE(Heartbeat({lease}, JobState::kFinalizing).ok());
  EXPECT_EQ(State(), JobState::kFinalizing);
  Pass(3000);
  EXPECT_EQ(State(), JobState::kDisconnected);
  ASSERT_TRUE(manager->workers().Report("w", lease, {Progress(2, 7)}, now).ok());
  EXPECT_EQ(State(), JobState::kFinalizing);
}

TEST_F(LeaseTest, AnExpiredLeaseRequeuesTheJobAndIsStale) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  Pass(11'000);
  EXPECT_EQ(State(), JobState::kQueued);
  EXPECT_EQ(Get().failures.infra, 1);
  EXPECT_THAT(Get().message, HasSubstr("was not heard from for too long"));
  EXPECT_EQ(expirations, 1);
  auto heartbeat = Heartbeat({lease});
  ASSERT_TRUE(heartbeat.ok());
  EXPECT_THAT(heartbeat->stale, ElementsAre(lease));
  EXPECT_TRUE(IsStaleLease(Finish(lease, JobState::kSucceeded).status()));
  Pass(1000);
  const std::vector<Grant> next = Poll(2);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].lease.attempt, 2);
  EXPECT_TRUE(IsStaleLease(Finish(lease, JobState::kSucceeded).status()));
}

TEST_F(LeaseTest, RetryDelaysDouble) {
  Submit({1});
  Register();
  for (int64_t delay : {1000, 2000, 4000}) {
    const Lease lease = Start(now.steady_ms);
    ASSERT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kInfra), JobState::kQueued);
    Pass(delay - 1000);
    EXPECT_THAT(Poll(now.steady_ms), IsEmpty()) << delay;
    Pass(1000);
  }
  EXPECT_EQ(Poll(now.steady_ms).size(), 1u);
}

TEST_F(LeaseTest, ARestartEndsDelaysAndGivesEveryLeaseAFreshDuration) {
  Submit({1, 2});
  Register();
  const Lease lease = Start(1);
  const Lease failed = Start(2);
  ASSERT_TRUE(Finish(failed, JobState::kFailed, FailureClass::kInfra).ok());
  Pass(1000);
  Advance(8500);
  Restart();
  Pass(9000);
  EXPECT_EQ(State(1), JobState::kDisconnected);
  EXPECT_EQ(State(2), JobState::kQueued);
  EXPECT_FALSE(Get(2).delayed);
  ASSERT_TRUE(Heartbeat({lease}).ok());
  EXPECT_EQ(State(1), JobState::kRunning);
}

TEST_F(LeaseTest, AStalledLoopExtendsLeasesInsteadOfExpiringThem) {
  Submit({1});
  Register();
  Start(1);
  Pass(1000);
  Advance(3'600'000);
  ASSERT_TRUE(manager->expiry().Tick(now).ok());
  EXPECT_EQ(State(), JobState::kRunning);
  Pass(9'000);
  EXPECT_EQ(expirations, 0);
  Pass(1000);
  EXPECT_EQ(expirations, 1);
}

TEST_F(LeaseTest, RegistrationKeepsHeldLeasesAndGivesTheRestAway) {
  Submit({1, 2});
  Register();
  const Lease held = Start(1), forgotten = Start(2);
  Lease old = held;
  --old.fence;
  Register("w", {held, old}, "b");
  EXPECT_THAT(keep, ElementsAre(held));
  EXPECT_EQ(State(1), JobState::kRunning);
  EXPECT_EQ(State(2), JobState::kQueued);
  EXPECT_EQ(Get(2).failures.infra, 1);
  Register("other");
  EXPECT_EQ(Poll(1, 1, "other")[0].lease.job_id, Id(2));
  EXPECT_TRUE(IsStaleLease(Finish(forgotten, JobState::kSucceeded).status()));
}

TEST_F(LeaseTest, TheFirstQuestionOfADaemonIsNoCopyOfTheFirstOneOfTheDaemonBeforeIt) {
  Submit({1, 2});
  Register();
  const std::vector<Grant> first = Poll(1);
  ASSERT_EQ(first.size(), 1u);
  Register("w", {first[0].lease}, "b");
  EXPECT_THAT(keep, ElementsAre(first[0].lease));
  const std::vector<Grant> second = Poll(1, 1, "w", "b");
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].lease.job_id, Id(2));
}

TEST_F(LeaseTest, ALateCopyOfARegistrationTakesNoLeaseThatWasGrantedSince) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  Register();  // sent before the grant, given up and repeated by the daemon; it comes now
  EXPECT_EQ(State(), JobState::kRunning);
  EXPECT_THAT(Heartbeat({lease})->stale, IsEmpty());
  EXPECT_EQ(*Finish(lease, JobState::kSucceeded), JobState::kSucceeded);
}

TEST_F(LeaseTest, AGrantWhoseAnswerWasLostIsGivenAgainAfterARegistration) {
  Submit({1});
  Register();
  const Lease lease = Poll(1)[0].lease;
  Register();  // the coordinator had restarted, say, and the daemon was told to
  const std::vector<Grant> again = Poll(1);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].lease, lease);
  EXPECT_EQ(Get().failures.infra, 0);
}

TEST_F(LeaseTest, TheRegistrationOfADaemonThatIsGoneIsRefusedHoweverLateItComes) {
  const std::string first = "000001a3b4c5d6e7" + std::string(16, 'f'),
                    second = "000001a3b4c5d6e8" + std::string(16, '0');
  Submit({1});
  Register("w", {}, second);
  const Lease lease = Poll(1, 1, "w", second)[0].lease;
  RegisterRequest late;
  late.worker_id = late.name = "w";
  late.session = first;
  late.devices = 8;
  const absl::Status status = manager->workers().Register(late, now).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), StartsWith("stale session"));
  EXPECT_THAT(Heartbeat({lease}, JobState::kRunning, "w", second)->stale, IsEmpty());
}

TEST_F(LeaseTest, UnknownWorkersAndOlderSessionsAreRefused) {
  EXPECT_EQ(Heartbeat({}).status().code(), absl::StatusCode::kNotFound);
  Register("w", {}, "a");
  Register("w", {}, "b");
  const absl::Status status = Heartbeat({}, JobState::kRunning, "w", "a").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), StartsWith("stale session"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("remove worker.id, tls and jobs"));
}

TEST_F(LeaseTest, AGrantThatNeverArrivedIsUndoneWithoutCounting) {
  Submit({1});
  Register();
  const Lease lease = Poll(1)[0].lease;
  for (int i = 0; i < 4; ++i) {
    Pass(1000);
    ASSERT_TRUE(Heartbeat({}).ok());
  }
  Pass(1000);
  EXPECT_EQ(State(), JobState::kQueued);
  EXPECT_EQ(Get().failures.infra, 0);
  EXPECT_TRUE(IsStaleLease(manager->workers().Report("w", lease, {Hello(1)}, now).status()));
}

TEST_F(LeaseTest, AJobThatWasCancelledBeforeItsGrantArrivedIsNotQueuedAgain) {
  Submit({1});
  Register();
  ASSERT_EQ(Poll(1).size(), 1u);
  ASSERT_TRUE(manager->clients().Cancel({"", {Id(1)}}, now).ok());
  for (int i = 0; i < 5; ++i) {
    Pass(1000);
    ASSERT_TRUE(Heartbeat({}).ok());
  }
  EXPECT_EQ(State(), JobState::kCancelled);
}

TEST_F(LeaseTest, AJobThatRunsTooLongIsStoppedAndFails) {
  SubmitRequest request = Sweep({1});
  request.max_time_ms = 5000;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  Register();
  const Lease lease = Start(1);
  for (int i = 0; i < 6; ++i) {
    Pass(1000);
    ASSERT_TRUE(Heartbeat({lease}).ok());
  }
  EXPECT_THAT(Heartbeat({lease})->cancel, ElementsAre(lease));
  EXPECT_EQ(*Finish(lease, JobState::kCancelled), JobState::kFailed);
  EXPECT_THAT(Get().message, HasSubstr("max_time"));
  const Attempt attempt = manager->queries().GetJob(lease.job_id)->attempts.back();
  EXPECT_EQ(attempt.state, AttemptState::kFailed) << "and is counted as such";
  EXPECT_EQ(attempt.failure_class, FailureClass::kUser);
  EXPECT_THAT(attempt.message, HasSubstr("max_time"));
}

TEST_F(LeaseTest, WorkersShowHowLongTheyWereSilent) {
  Submit({1});
  Register();
  Start(1);
  auto state = [&] { return manager->queries().ListWorkers(now)->front().state; };
  EXPECT_EQ(state(), WorkerState::kConnected);
  EXPECT_THAT(manager->queries().ListWorkers(now)->front().job_ids, ElementsAre(Id(1)));
  Pass(3000);
  EXPECT_EQ(state(), WorkerState::kDisconnected);
  Pass(8000);
  EXPECT_EQ(state(), WorkerState::kGone);
  EXPECT_EQ(manager->queries().GetStats(now)->workers_gone, 1);
}

TEST_F(LeaseTest, WhatAWorkerHeldWhenItLeftRunsOutAsAnyLeaseOrIsBroughtHomeByTheNextDaemon) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  ASSERT_TRUE(manager->workers().Heartbeat({.worker_id = "w", .session = "a", .leaving = true}, now).ok());
  Pass(9000);
  EXPECT_EQ(State(), JobState::kDisconnected);
  Register("w", {lease}, "b");
  EXPECT_THAT(keep, ElementsAre(lease));
  ASSERT_TRUE(manager->workers().Heartbeat({.worker_id = "w", .session = "b", .leaving = true}, now).ok());
  Pass(11'000);
  EXPECT_EQ(State(), JobState::kQueued);
  EXPECT_EQ(expirations, 1);
}

TEST_F(LeaseTest, AWorkerThatIsLongGoneLeavesTheListsUntilItRegisters) {
  Register("w");
  Register("other");
  for (int minutes = 0; minutes < 70; ++minutes) {
    Pass(60'000);
    ASSERT_TRUE(Heartbeat({}, JobState::kRunning, "other").ok());
  }
  ASSERT_EQ(manager->queries().ListWorkers(now)->size(), 1u);
  EXPECT_EQ(manager->queries().ListWorkers(now)->front().id, "other");
  EXPECT_EQ(manager->queries().ListWorkers(now, /*retired=*/true)->size(), 2u);
  EXPECT_EQ(manager->queries().GetStats(now)->workers_gone, 0);
  EXPECT_EQ(Heartbeat({}).status().code(), absl::StatusCode::kNotFound);
  Register("w");
  EXPECT_TRUE(Heartbeat({}).ok());
  EXPECT_EQ(manager->queries().ListWorkers(now)->size(), 2u);
}

// A registration may come between a goodbye's look at the session and its effect.
TEST(LeaseClock, OnlyTheSessionThatIsTheWorkerNowCanLeave) {
  LeaseClock clock;
  clock.SetSession("w", "a");
  clock.HearWorker("w", 2, 100, 1'000);
  clock.SetSession("w", "b");
  EXPECT_FALSE(clock.Leave("w", "a", 200, 1'100).has_value());
  EXPECT_FALSE(clock.WorkerSeen("w", 200).left);
  EXPECT_EQ(clock.WorkerSeen("w", 200).devices_free, 2);
  ASSERT_TRUE(clock.Leave("w", "b", 200, 1'100).has_value());
  EXPECT_TRUE(clock.WorkerSeen("w", 200).left);
  EXPECT_EQ(clock.WorkerSeen("w", 200).devices_free, 0);
}

TEST(LeaseClock, DelaysThatNobodyAsksForAreForgottenWhenTheyAreOver) {
  LeaseClock clock;
  clock.Delay("ended meanwhile", 100);
  clock.Delay("waits", 300);
  clock.ForgetDelaysOver(200);
  EXPECT_TRUE(clock.DelayOver("ended meanwhile", 50)) << "it would not be over yet";
  EXPECT_FALSE(clock.DelayOver("waits", 200));
}

}  // namespace
}  // namespace sink
