// What a sweep's policies do: early stopping, the canary, a limit of failures, checkpoints that are kept; and what
// Explain says of each.
#include <cmath>
#include <numeric>
#include <vector>

#include "tests/coordinator/core/fixture.h"

namespace sink {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class PolicyTest : public ManagerTest {
 protected:
  void SubmitWith(const std::vector<int>& jobs, const SweepPolicy& policy, const std::string& sweep = "s") {
    SubmitRequest request = Sweep(jobs, sweep);
    request.policy = policy;
    ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  }
  // The job's next measurement of the metric; its sequence numbers go on from 2.
  void Measure(const Lease& lease, int64_t step, double value, const std::string& name = "loss") {
    const auto reported =
        manager->workers().Report("w", lease, {Metric(seq_[lease.job_id + lease.id]++ + 2, step, value, name)}, now);
    ASSERT_TRUE(reported.ok()) << reported.status();
  }
  void MeasureLoss(const Lease& lease, int64_t step, double value) {
    Measure(lease, step, value, "validation_loss/all");
  }
  void Commit(const Lease& lease, int64_t step, const std::string& hash = "hash") {
    const auto pushed_out = manager->workers().CommitCheckpoint("w", lease, {step, hash, {{"a", 5, "x"}}, 1}, now);
    ASSERT_TRUE(pushed_out.ok()) << pushed_out.status();
  }
  // A job that keeps the newest of its checkpoints, and what its configuration says.
  Lease StartKeeping(int newest, const std::string& config_json = "{}") {
    SubmitRequest request = Sweep({1});
    request.jobs[0].checkpoints_kept = newest;
    request.jobs[0].config_json = config_json;
    EXPECT_TRUE(manager->clients().Submit(request, now).ok());
    Register();
    return Start(1);
  }
  std::vector<Checkpoint> Checkpoints() {
    const auto rows = manager->queries().ListCheckpoints(Id(1));
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<Checkpoint>();
  }
  std::vector<int64_t> Steps() {
    std::vector<int64_t> steps;
    for (const Checkpoint& checkpoint : Checkpoints()) steps.push_back(checkpoint.step);
    return steps;
  }
  bool Stopping(const Lease& lease) {
    const auto heard = Heartbeat({lease});
    return heard.ok() && !heard->cancel.empty();
  }
  std::string Why(int n) {
    const auto explanation = manager->queries().Explain(Id(n), now);
    EXPECT_TRUE(explanation.ok()) << explanation.status();
    std::string text;
    if (explanation.ok()) {
      for (const std::string& reason : explanation->reasons) text += reason + "\n";
    }
    return text;
  }

  const SweepPolicy halving_{.stop_metric = "loss", .stop_first_rung = 10, .stop_eta = 2};

 private:
  std::map<std::string, uint64_t> seq_;
};

TEST_F(PolicyTest, AJobBehindTheBestHalfOfItsRungIsStoppedAndSaysWhy) {
  SubmitWith({1, 2, 3}, halving_);
  Register();
  const Lease a = Start(1), b = Start(2), c = Start(3);
  Measure(a, 9, 5.0);  // before the rung: judged by what comes at or after it
  Measure(a, 12, 1.0);
  EXPECT_FALSE(Stopping(a));
  Measure(b, 10, 2.0);  // second of two, and one goes on
  EXPECT_TRUE(Stopping(b));
  Measure(c, 10, 1.5);  // second of three, and two go on
  EXPECT_FALSE(Stopping(c));
  ASSERT_EQ(*Finish(b, JobState::kCancelled), JobState::kCancelled);
  EXPECT_EQ(Get(2).message, "stopped early at step 10: loss was 2, place 2 of 2, and the best 1 go on");
  EXPECT_THAT(Why(2), HasSubstr("sinkctl retry"));
  EXPECT_THAT(*manager->clients().Retry({"s", {}}, now), ::testing::IsEmpty());
  const auto explanation = manager->queries().Explain(Id(3), now);
  EXPECT_THAT(explanation->rungs, ElementsAre(RungResult{"s", 10, Id(3), 1.5, 2, 3, false}));
}

TEST_F(PolicyTest, ALateMeasurementEntersEveryRungItHasPassed) {
  SubmitWith({1, 2}, halving_);
  Register();
  const Lease a = Start(1), b = Start(2);
  Measure(a, 45, 1.0);
  Measure(b, 25, 0.5);
  EXPECT_FALSE(Stopping(b));
  std::vector<int64_t> steps;
  const Explanation explanation = *manager->queries().Explain(Id(1), now);
  for (const RungResult& rung : explanation.rungs) steps.push_back(rung.step);
  EXPECT_THAT(steps, ElementsAre(10, 20, 40));
}

TEST_F(PolicyTest, NotANumberIsWorseThanAnyNumberAndTheLargestMayBeTheBest) {
  SweepPolicy policy = halving_;
  policy.stop_maximize = true;
  SubmitWith({1, 2, 3}, policy);
  Register();
  const Lease a = Start(1), b = Start(2), c = Start(3);
  Measure(a, 10, 0.1);
  Measure(b, 10, NAN);
  EXPECT_TRUE(Stopping(b));
  Measure(c, 10, 0.2);
  EXPECT_FALSE(Stopping(c));
}

TEST_F(PolicyTest, ARestartedAttemptIsNotJudgedTwiceAtOneRung) {
  SubmitWith({1, 2}, halving_);
  Register();
  Lease a = Start(1);
  Measure(a, 10, 2.0);
  ASSERT_TRUE(Finish(a, JobState::kFailed, FailureClass::kInfra).ok());
  const Lease b = Start(2);
  Measure(b, 10, 1.0);
  Pass(2000);
  a = Start(3);
  Measure(a, 10, 2.0);  // again, now second of two: what was decided stands
  EXPECT_FALSE(Stopping(a));
}

TEST_F(PolicyTest, AJobThatAPersonRetriesGoesOnToItsEnd) {
  SubmitWith({1, 2}, halving_);
  Register();
  const Lease a = Start(1), b = Start(2);
  Measure(a, 10, 1.0);
  Measure(b, 10, 2.0);
  ASSERT_EQ(*Finish(b, JobState::kCancelled), JobState::kCancelled);
  ASSERT_TRUE(manager->clients().Retry({"", {Id(2)}}, now).ok());
  const Lease again = Start(3);
  Measure(a, 20, 1.0);
  Measure(again, 20, 2.0);
  EXPECT_FALSE(Stopping(again));
}

TEST_F(PolicyTest, AJobThatAnotherSweepWantsIsNeverStopped) {
  SubmitWith({1, 2}, halving_);
  SubmitWith({2}, {}, "other");
  Register();
  const Lease a = Start(1), b = Start(2);
  Measure(a, 10, 1.0);
  Measure(b, 10, 2.0);
  EXPECT_FALSE(Stopping(b));
}

TEST_F(PolicyTest, AJobThatIsBeingStoppedEarlyGoesOnForAnotherSweepAndNotForItsOwn) {
  SubmitWith({1, 2}, halving_);
  Register();
  const Lease a = Start(1), b = Start(2);
  Measure(a, 10, 1.0);
  Measure(b, 10, 2.0);
  SubmitWith({1, 2}, halving_);
  EXPECT_TRUE(Stopping(b));
  SubmitWith({2}, {}, "other");
  EXPECT_FALSE(Stopping(b));
  EXPECT_EQ(Get(2).stop_message, "");
}

TEST_F(PolicyTest, AJobThatAnotherSweepNoLongerWantsMayBeStopped) {
  SubmitWith({1, 2}, halving_);
  SubmitWith({2}, {}, "other");
  Register();
  const Lease a = Start(1), b = Start(2);
  ASSERT_EQ(manager->clients().Cancel({"other", {}}, now)->kept, 1);
  Measure(a, 10, 1.0);
  Measure(b, 10, 2.0);
  EXPECT_TRUE(Stopping(b));
}

TEST_F(PolicyTest, ARungThatAJobPassedWhileAnotherSweepWantedItIsNotEnteredLater) {
  SubmitWith({1, 2}, halving_);
  SubmitWith({1}, {}, "other");
  Register();
  const Lease a = Start(1);
  Measure(a, 10, 5.0);
  Measure(a, 15, 4.0);
  ASSERT_EQ(manager->clients().Cancel({"other", {}}, now)->kept, 1);
  Measure(a, 16, 0.1);
  const auto rungs = [this] { return manager->queries().Explain(Id(1), now)->rungs; };
  EXPECT_THAT(rungs(), IsEmpty()) << "the others' values of step 10 would be held against one of step 16";
  Measure(a, 20, 0.1);
  ASSERT_EQ(rungs().size(), 1u);
  EXPECT_EQ(rungs()[0].step, 20);
}

TEST_F(PolicyTest, WhatOneSweepHasStoppedEarlyAnotherMayHaveTriedAgain) {
  SubmitWith({1, 2}, halving_);
  Register();
  const Lease a = Start(1), b = Start(2);
  Measure(a, 10, 1.0);
  Measure(b, 10, 2.0);
  ASSERT_EQ(*Finish(b, JobState::kCancelled), JobState::kCancelled);
  SubmitWith({2}, {}, "other");
  EXPECT_THAT(*manager->clients().Retry({"s", {}}, now), IsEmpty());
  EXPECT_THAT(*manager->clients().Retry({"other", {}}, now), ElementsAre(Id(2)));
}

TEST_F(PolicyTest, AJobThatIsBeingStoppedEarlyGoesOnWhenItIsRetriedByItsId) {
  SubmitWith({1, 2}, halving_);
  Register();
  const Lease a = Start(1), b = Start(2);
  Measure(a, 10, 1.0);
  Measure(b, 10, 2.0);
  ASSERT_TRUE(Stopping(b));
  EXPECT_THAT(*manager->clients().Retry({"", {Id(2)}}, now), ElementsAre(Id(2)));
  EXPECT_FALSE(Stopping(b));
  Measure(a, 20, 1.0);
  Measure(b, 20, 2.0);
  EXPECT_FALSE(Stopping(b)) << "to its end";
}

TEST_F(PolicyTest, TheCanaryRunsAloneUntilItHasSavedACheckpoint) {
  SubmitWith({1, 2, 3}, {.canary = true});
  Register();
  EXPECT_EQ(Poll(1, 8).size(), 1u);
  EXPECT_THAT(Poll(2, 8), IsEmpty());
  EXPECT_THAT(Why(2), HasSubstr("has not saved its first checkpoint yet"));
  const Lease canary = Get(1).lease();
  ASSERT_TRUE(manager->workers().Report("w", canary, {Hello(1), Progress(2, 10)}, now).ok());
  ASSERT_TRUE(manager->workers().CommitCheckpoint("w", canary, {10, "hash", {{"a", 5, "x"}}, 2}, now).ok());
  EXPECT_EQ(Poll(3, 8).size(), 2u);
}

TEST_F(PolicyTest, AfterADeadCanaryTheRestWaitUntilItIsRetried) {
  SubmitWith({1, 2}, {.canary = true});
  Register();
  ASSERT_EQ(*Finish(Start(1), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  EXPECT_THAT(Poll(2, 8), IsEmpty());
  EXPECT_THAT(Why(2), HasSubstr("failed before any had saved a checkpoint"));
  ASSERT_TRUE(manager->clients().Retry({"s", {}}, now).ok());
  EXPECT_EQ(*Finish(Start(3), JobState::kSucceeded), JobState::kSucceeded);
  EXPECT_EQ(Poll(4, 8).size(), 1u);
}

TEST_F(PolicyTest, ACheckpointLetsTheOthersGoThoughItsJobWasHandedBack) {
  SubmitWith({1, 2, 3, 4}, {.canary = true, .max_failed = 2});
  Register();
  const Lease canary = Start(1);
  Commit(canary, 10);
  ASSERT_EQ(*Finish(Start(2), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  ASSERT_EQ(*Finish(canary, JobState::kCancelled), JobState::kQueued);
  EXPECT_THAT(Why(3), Not(HasSubstr("before any had saved a checkpoint")));
  EXPECT_EQ(Poll(3, 8).size(), 3u);
}

TEST_F(PolicyTest, ACheckpointLetsTheOthersGoThoughItsJobFailedLater) {
  SubmitWith({1, 2}, {.canary = true, .max_failed = 1});
  Register();
  const Lease canary = Start(1);
  Commit(canary, 10);
  ASSERT_EQ(*Finish(canary, JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  EXPECT_EQ(Poll(2, 8).size(), 1u);
}

TEST_F(PolicyTest, ASweepThatIsSubmittedWithOtherJobsHasACanaryAnew) {
  SubmitWith({1}, {.canary = true});
  Register();
  const Lease canary = Start(1);
  Commit(canary, 10);
  ASSERT_EQ(*Finish(canary, JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  SubmitWith({3, 4}, {.canary = true});
  EXPECT_EQ(Poll(2, 8).size(), 1u);
}

TEST_F(PolicyTest, MoreFailuresThanAllowedHoldTheRest) {
  SubmitWith({1, 2, 3, 4}, {.max_failed = 1});
  Register();
  ASSERT_EQ(*Finish(Start(1), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  ASSERT_EQ(*Finish(Start(2), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  EXPECT_THAT(Poll(3, 8), IsEmpty());
  EXPECT_THAT(Why(3), HasSubstr("2 jobs of s have failed and 1 may"));
  ASSERT_TRUE(manager->clients().Retry({"", {Id(1)}}, now).ok());
  EXPECT_EQ(Poll(4, 8).size(), 3u);
}

TEST_F(PolicyTest, ASweepThatFailuresHoldGoesOnWhenItIsSubmittedWithoutThem) {
  SubmitWith({1, 2, 3}, {.max_failed = 0});
  Register();
  ASSERT_EQ(*Finish(Start(1), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  EXPECT_THAT(Poll(2, 8), IsEmpty());
  EXPECT_THAT(Why(2), HasSubstr("submit the sweep without them"));
  SubmitWith({2, 3}, {.max_failed = 0});
  EXPECT_EQ(Poll(3, 8).size(), 2u);
}

TEST_F(PolicyTest, AJobIsNotHeldByASweepThatDoesNotWantItAnyMore) {
  SubmitWith({1, 2}, {.max_failed = 0}, "ours");
  SubmitWith({2}, {}, "theirs");
  Register();
  ASSERT_EQ(*Finish(Start(1), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  EXPECT_THAT(Poll(2, 8), IsEmpty());
  EXPECT_THAT(Why(2), HasSubstr("1 job of ours has failed"));
  ASSERT_EQ(manager->clients().Cancel({"ours", {}}, now)->kept, 1);
  EXPECT_THAT(Why(2), ::testing::Not(HasSubstr("of ours")));
  EXPECT_EQ(Poll(3, 8).size(), 1u);
}

TEST_F(PolicyTest, AJobThatFailuresOfItsHomeHoldStartsForAnotherSweepThatWantsIt) {
  SubmitWith({1, 2, 3}, {.max_failed = 0}, "ours");
  SubmitWith({2, 4}, {}, "theirs");
  Register();
  ASSERT_EQ(*Finish(Start(1), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  Pass(1000);
  EXPECT_EQ(Get(2).home_sweep, "theirs");
  EXPECT_THAT(Why(2), Not(HasSubstr("of ours")));
  EXPECT_EQ(Get(3).home_sweep, "ours");
  EXPECT_THAT(Why(3), HasSubstr("1 job of ours has failed"));
  EXPECT_EQ(Poll(2, 8).size(), 2u) << "jobs 2 and 4";
  EXPECT_EQ(State(2), JobState::kLeased);
  EXPECT_EQ(State(3), JobState::kQueued);
}

TEST_F(PolicyTest, AJobOfTwoSweepsWaitsForTheCanaryOfItsHomeOnlyWhileThatLives) {
  SubmitWith({1, 2}, {.canary = true}, "ours");
  SubmitWith({2}, {}, "theirs");
  Register();
  const Lease canary = Start(1);
  Pass(1000);
  EXPECT_EQ(Get(2).home_sweep, "ours");
  ASSERT_EQ(*Finish(canary, JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  Pass(1000);
  EXPECT_EQ(Get(2).home_sweep, "theirs");
  EXPECT_EQ(Poll(2, 8).size(), 1u);
}

TEST_F(PolicyTest, AJobThatFailuresOfAllItsSweepsHoldStartsForTheFirstThatGoesOn) {
  SubmitWith({1, 2}, {.max_failed = 0}, "ours");
  SubmitWith({2, 3}, {.max_failed = 0}, "theirs");
  SubmitWith({2, 4}, {}, "cancelled");
  ASSERT_EQ(manager->clients().Cancel({"cancelled", {}}, now)->kept, 1);
  Register();
  for (const uint64_t poll : {1, 2})
    ASSERT_EQ(*Finish(Start(poll), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  ASSERT_EQ(State(3), JobState::kFailed);
  Pass(1000);
  EXPECT_EQ(Get(2).home_sweep, "ours");
  EXPECT_THAT(Poll(3, 8), IsEmpty());
  ASSERT_EQ(manager->clients().Retry({"", {Id(3)}}, now)->size(), 1u);
  Pass(1000);
  EXPECT_EQ(Get(2).home_sweep, "theirs");
  EXPECT_EQ(Poll(4, 8).size(), 2u);
}

TEST_F(PolicyTest, TheJobsOfALargeHeldSweepAreLookedAtSomeAtATime) {
  std::vector<int> jobs(1001);
  std::iota(jobs.begin(), jobs.end(), 1);
  SubmitWith(jobs, {.max_failed = 0}, "ours");
  SubmitWith({2, 1001}, {}, "theirs");
  Register();
  ASSERT_EQ(*Finish(Start(1), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  Pass(1000);
  EXPECT_EQ(Get(2).home_sweep, "theirs");
  EXPECT_EQ(Get(1001).home_sweep, "ours");
  Pass(1000);
  EXPECT_EQ(Get(1001).home_sweep, "theirs");
  // What is wanted later is found in a later round.
  SubmitWith({3}, {}, "later");
  Pass(3000);
  EXPECT_EQ(Get(3).home_sweep, "later");
}

TEST_F(PolicyTest, CheckpointsOfThePeriodStayWhenNewerOnesPushTheOthersOut) {
  SubmitRequest request = Sweep({1});
  request.jobs[0].checkpoints_kept = 1;
  request.jobs[0].checkpoint_period = 20;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  Register();
  const Lease lease = Start(1);
  for (int64_t step : {10, 20, 30, 40, 50, 60, 70}) Commit(lease, step);
  EXPECT_THAT(Steps(), ElementsAre(70, 60, 40, 20));
}

TEST_F(PolicyTest, TheCheckpointWithTheLowestValidationLossStaysUntilAnotherIsBetter) {
  const Lease lease = StartKeeping(1, R"({"checkpoint":{"keep_best":true}})");
  MeasureLoss(lease, 0, 5.0);
  Commit(lease, 10);
  EXPECT_EQ(Checkpoints()[0].validation_loss, 5.0) << "the nearest before it, which is that of step 0";
  MeasureLoss(lease, 20, 2.0);
  Commit(lease, 20);
  EXPECT_THAT(Steps(), ElementsAre(20));
  MeasureLoss(lease, 30, 3.0);
  Commit(lease, 30);
  EXPECT_THAT(Steps(), ElementsAre(30, 20));
  Commit(lease, 40);
  EXPECT_EQ(Checkpoints()[0].validation_loss, 3.0) << "nothing was measured since";
  EXPECT_THAT(Steps(), ElementsAre(40, 20));
  MeasureLoss(lease, 50, 2.0);
  Commit(lease, 50);
  EXPECT_THAT(Steps(), ElementsAre(50, 20)) << "of equals the first";
  MeasureLoss(lease, 60, std::nan(""));
  Commit(lease, 60);
  EXPECT_THAT(Steps(), ElementsAre(60, 20)) << "what is not a number is not the best";
  MeasureLoss(lease, 70, 1.0);
  MeasureLoss(lease, 80, 0.5);  // training goes on while the checkpoint is on its way
  Commit(lease, 70);
  EXPECT_EQ(Checkpoints()[0].validation_loss, 1.0);
  EXPECT_THAT(Steps(), ElementsAre(70)) << "the one that was the best goes";
  MeasureLoss(lease, 90, 4.0);
  Commit(lease, 90);
  EXPECT_THAT(Steps(), ElementsAre(90, 70));
}

TEST_F(PolicyTest, WhoDoesNotAskForTheBestCheckpointKeepsTheNewest) {
  const Lease lease = StartKeeping(1);
  MeasureLoss(lease, 10, 1.0);
  Commit(lease, 10);
  MeasureLoss(lease, 20, 2.0);
  Commit(lease, 20);
  EXPECT_THAT(Steps(), ElementsAre(20));
}

TEST_F(PolicyTest, APinnedCheckpointStaysAndGoesWithTheNextOnceItIsUnpinned) {
  const Lease lease = StartKeeping(1);
  Commit(lease, 10);
  ASSERT_TRUE(manager->checkpoints().Pin(Id(1), 10, true).ok());
  for (const int64_t step : {20, 30}) Commit(lease, step);
  EXPECT_THAT(Steps(), ElementsAre(30, 10));
  const absl::Status refused = manager->checkpoints().Drop(Id(1), {30, 10});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("is pinned; unpin it first: sinkctl checkpoint unpin " + Id(1) + " --step 10"));
  EXPECT_THAT(Steps(), ElementsAre(30, 10)) << "all that it names or none";

  ASSERT_TRUE(manager->checkpoints().Pin(Id(1), 10, false).ok());
  EXPECT_THAT(Steps(), ElementsAre(30, 10)) << "until a newer one is there";
  Commit(lease, 40);
  EXPECT_THAT(Steps(), ElementsAre(40));
  const absl::Status missing = manager->checkpoints().Pin(Id(1), 10, true);
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("it has those of 40"));
}

TEST_F(PolicyTest, APinIsKeptWhenItsStepIsTrainedAnewAndNotWhenItsBytesAreDamaged) {
  const Lease lease = StartKeeping(1);
  Commit(lease, 10);
  ASSERT_TRUE(manager->checkpoints().Pin(Id(1), 10, true).ok());
  Commit(lease, 10, "another");
  for (const int64_t step : {20, 30}) Commit(lease, step);
  ASSERT_THAT(Steps(), ElementsAre(30, 10));
  const Checkpoint pinned = Checkpoints()[1];
  EXPECT_EQ(pinned.manifest_hash, "another");
  EXPECT_TRUE(pinned.pinned);
  EXPECT_TRUE(*manager->checkpoints().DropDamaged(pinned, "a bit", now));
  EXPECT_THAT(Steps(), ElementsAre(30));
}

TEST_F(PolicyTest, ARetryFromBeforeAPinnedCheckpointIsRefused) {
  const Lease lease = StartKeeping(2);
  for (const int64_t step : {10, 20}) Commit(lease, step);
  ASSERT_TRUE(manager->checkpoints().Pin(Id(1), 20, true).ok());
  ASSERT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  const auto retry = [&](int64_t step) { return manager->clients().Retry({"", {Id(1)}}, now, step).status(); };
  for (const int64_t step : {0, 10}) {
    EXPECT_EQ(retry(step).code(), absl::StatusCode::kFailedPrecondition) << step;
    EXPECT_EQ(State(1), JobState::kFailed);
    EXPECT_THAT(Steps(), ElementsAre(20, 10));
  }
  ASSERT_TRUE(manager->checkpoints().Pin(Id(1), 20, false).ok());
  ASSERT_TRUE(retry(10).ok());
  EXPECT_THAT(Steps(), ElementsAre(10));
}

// Their transactions are of few jobs each; the last of these is in another one than the first.
TEST_F(PolicyTest, ARetryOfASweepFromAStepThatOneOfItsJobsCannotGoBackToChangesNone) {
  constexpr int kJobs = 25;
  std::vector<int> all;
  for (int n = 1; n <= kJobs; ++n) all.push_back(n);
  SubmitRequest request = Sweep(all);
  for (SubmitJob& job : request.jobs) job.checkpoints_kept = 2;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  Register();
  for (int n = 1; n <= kJobs; ++n) {
    const Lease lease = Start(static_cast<uint64_t>(n));
    for (const int64_t step : n < kJobs ? std::vector<int64_t>{10, 20} : std::vector<int64_t>{20}) Commit(lease, step);
    ASSERT_TRUE(manager->workers().Report("w", lease, {Metric(2, 20, 0.5)}, now).ok());
    ASSERT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  }
  const auto expect_unchanged = [&](int64_t step, absl::StatusCode code) {
    EXPECT_EQ(manager->clients().Retry({"s", {}}, now, step).status().code(), code);
    EXPECT_EQ(State(1), JobState::kFailed);
    EXPECT_THAT(Steps(), ElementsAre(20, 10));
    EXPECT_EQ(Get(1).progress.step, 20);
  };
  expect_unchanged(10, absl::StatusCode::kNotFound);
  ASSERT_TRUE(manager->checkpoints().Pin(Id(kJobs), 20, true).ok());
  expect_unchanged(0, absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(manager->clients().Retry({"s", {}}, now, /*from_step=*/20)->size(), static_cast<size_t>(kJobs));
}

TEST_F(PolicyTest, ExplainTellsWhatAQueuedJobLacks) {
  SubmitRequest request = Sweep({1, 2});
  request.devices = 16;
  request.max_parallel = 1;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  EXPECT_THAT(Why(1), HasSubstr("no worker is connected"));
  Register();
  Poll(1);
  EXPECT_THAT(Why(2), HasSubstr("needs 16 devices on one worker, and the largest connected one has 8"));
  EXPECT_THAT(Why(2), HasSubstr("1 queued job goes before it"));
  EXPECT_EQ(manager->queries().Explain("ffff", now).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PolicyTest, ExplainDoesNotCountJobsBeforeThatWaitForOthersOfTheirSweep) {
  SubmitRequest limited = Sweep({1, 2, 3}, "limited");
  limited.max_parallel = 1;
  ASSERT_TRUE(manager->clients().Submit(limited, now).ok());
  Register();
  Start(1);
  ASSERT_TRUE(manager->clients().Submit(Sweep({4, 5}, "free"), now).ok());
  EXPECT_THAT(Why(4), Not(HasSubstr("before it")));
  EXPECT_THAT(Why(5), HasSubstr("1 queued job goes before it"));
  EXPECT_THAT(Why(3), HasSubstr("1 queued job goes before it")) << "of its own sweep, when one may start";
}

TEST_F(PolicyTest, ExplainCountsDevicesInWholeSentences) {
  Submit({1, 2});
  Register();
  const Lease lease = Start(1);
  ASSERT_TRUE(Heartbeat({lease}).ok());  // which says that none is free
  EXPECT_THAT(Why(2), HasSubstr("it needs 1 free device on one worker; none is free (1 worker is connected)"));
}

TEST_F(PolicyTest, ExplainCountsTheWorkersThatAreHeldBesideThoseThatTakeJobs) {
  Submit({1, 2});
  Register();
  Register("x");
  ASSERT_TRUE(manager->clients().HoldWorkers({"x"}, WorkerHold::kCordoned, "").ok());
  const Lease lease = Start(1);
  ASSERT_TRUE(Heartbeat({lease}).ok());
  EXPECT_THAT(Why(2), HasSubstr("none is free (2 workers are connected, 1 is held)"));
}

TEST_F(PolicyTest, ExplainSaysOfACancelledJobWhoseWorkerIsLateThatItEnds) {
  Submit({1, 2});
  Register();
  Start(1);
  Start(2);
  ASSERT_TRUE(manager->clients().Cancel({"", {Id(1)}}, now).ok());
  Pass(8'000);
  ASSERT_EQ(State(1), JobState::kDisconnected);
  EXPECT_THAT(Why(1), HasSubstr("the worker is late; after 2s more the job ends without it"));
  EXPECT_THAT(Why(2), HasSubstr("the worker is late; after 2s more it goes to another"));
  Pass(4'000);
  EXPECT_EQ(State(1), JobState::kCancelled);
  EXPECT_EQ(State(2), JobState::kQueued);
}

TEST_F(PolicyTest, ExplainTellsWhoHasARunningJobAndHowALostOneEnded) {
  Submit({1});
  Register();
  Start(1);
  Advance(2000);
  EXPECT_THAT(Why(1), HasSubstr("worker w has it (attempt 1), heard from 2s ago"));
  Pass(12'000);
  EXPECT_THAT(Why(1),
              HasSubstr("attempt 1 ended: its worker w was not heard from for too long; it will go on from step 0"));
}

TEST_F(PolicyTest, AJobThatAPersonHasRetriedSaysSoAndHowItHadEnded) {
  SubmitWith({1}, {});
  Register();
  ASSERT_EQ(*Finish(Start(1), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  ASSERT_TRUE(manager->clients().Retry({"s", {}}, now).ok());
  EXPECT_THAT(Why(1), HasSubstr("attempt 1 ended: why; a person has retried the job; it will go on from step 0"));
}

}  // namespace
}  // namespace sink
