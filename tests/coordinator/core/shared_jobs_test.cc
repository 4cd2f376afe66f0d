// A job that two sweeps have: what one user does to his sweep does not take it from the other.
#include <functional>
#include <tuple>
#include <utility>

#include "tests/coordinator/core/fixture.h"

namespace sink {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Where somebody else comes between what a call has read and what it changes first.
class StoreWithAGuest final : public store::JobStore {
 public:
  explicit StoreWithAGuest(store::JobStore* store) : store_(store) {}
  absl::Status Write(const std::function<absl::Status(store::Transaction&)>& body) override {
    return store_->Write(body);
  }
  absl::Status WriteLarge(const std::function<absl::Status(store::Transaction&)>& body) override {
    if (guest) std::exchange(guest, nullptr)();
    return store_->WriteLarge(body);
  }
  absl::Status Read(const std::function<absl::Status(store::Snapshot&)>& body) override { return store_->Read(body); }

  std::function<void()> guest;  // comes once

 private:
  store::JobStore* const store_;
};

class SharedJobsTest : public ManagerTest {
 protected:
  // Job 2 is of both.
  void SubmitBoth() {
    ASSERT_TRUE(manager->clients().Submit(Sweep({1, 2}, "ours"), now).ok());
    ASSERT_TRUE(manager->clients().Submit(Sweep({2, 3}, "theirs"), now).ok());
  }
  CancelResult Cancel(const std::string& sweep, std::vector<std::string> jobs = {}) {
    const auto result = manager->clients().Cancel({sweep, std::move(jobs)}, now);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CancelResult();
  }
  SubmitResult DryRun(SubmitRequest request) {
    request.dry_run = true;
    const auto result = manager->clients().Submit(request, now);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : SubmitResult();
  }
};

TEST_F(SharedJobsTest, CancellingOneSweepLeavesWhatTheOtherWants) {
  SubmitBoth();
  const CancelResult first = Cancel("ours");
  EXPECT_EQ(first.cancelled, 1);
  EXPECT_EQ(first.kept, 1);
  EXPECT_EQ(State(1), JobState::kCancelled);
  EXPECT_EQ(State(2), JobState::kQueued);
  const CancelResult second = Cancel("theirs");
  EXPECT_EQ(second.cancelled, 2) << "nobody wants it any more";
  EXPECT_EQ(second.kept, 0);
  EXPECT_EQ(State(2), JobState::kCancelled);
}

TEST_F(SharedJobsTest, ARunningOneGoesOnForTheOther) {
  SubmitBoth();
  ASSERT_EQ(Cancel("", {Id(1)}).cancelled, 1);
  Register();
  const Lease lease = Start(1);
  ASSERT_EQ(lease.job_id, Id(2));
  EXPECT_EQ(Cancel("ours").kept, 1);
  EXPECT_THAT(Heartbeat({lease})->cancel, IsEmpty());
  EXPECT_EQ(Cancel("theirs").requested, 1);
  EXPECT_EQ(Heartbeat({lease})->cancel.size(), 1u);
}

TEST_F(SharedJobsTest, CancellingASweepEndsWhatAnEarlierVersionOfItLeftToRun) {
  ASSERT_TRUE(manager->clients().Submit(Sweep({1, 2, 4}, "ours"), now).ok());
  ASSERT_TRUE(manager->clients().Submit(Sweep({2}, "theirs"), now).ok());
  Register();
  const Lease lease = Start(1);
  ASSERT_EQ(lease.job_id, Id(1));
  ASSERT_TRUE(manager->clients().Submit(Sweep({3}, "ours"), now).ok());
  EXPECT_THAT(Heartbeat({lease})->cancel, IsEmpty()) << "editing a sweep throws no training away";
  for (const int left : {1, 4})
    EXPECT_THAT(manager->queries().Explain(Id(left), now)->reasons, Contains(HasSubstr("sinkctl cancel ours ends it")));
  const CancelResult result = Cancel("ours");
  EXPECT_EQ(result.cancelled, 2) << "jobs 3 and 4";
  EXPECT_EQ(result.requested, 1);
  EXPECT_EQ(result.kept, 0) << "job 2 is the other sweep's alone";
  EXPECT_EQ(State(2), JobState::kQueued);
  EXPECT_EQ(Heartbeat({lease})->cancel.size(), 1u);
  ASSERT_EQ(*Finish(lease, JobState::kCancelled), JobState::kCancelled);
  const auto deleted = manager->clients().DeleteSweep("ours", now);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->deleted, 3);
}

TEST_F(SharedJobsTest, CancellingASweepEndsWhatItLeftToRunThoughACancelledOneNamesItStill) {
  SubmitBoth();
  ASSERT_EQ(Cancel("", {Id(1)}).cancelled, 1);
  Register();
  const Lease lease = Start(1);
  ASSERT_EQ(lease.job_id, Id(2));
  ASSERT_EQ(Cancel("ours").kept, 1);
  ASSERT_TRUE(manager->clients().Submit(Sweep({1, 2}, "ours"), now).ok());
  ASSERT_EQ(Get(2).home_sweep, "theirs");
  ASSERT_EQ(Cancel("theirs").kept, 1) << "ours wants it again";
  ASSERT_TRUE(manager->clients().Submit(Sweep({4}, "ours"), now).ok());
  EXPECT_THAT(Heartbeat({lease})->cancel, IsEmpty()) << "editing a sweep throws no training away";
  EXPECT_EQ(manager->clients().DeleteSweep("ours", now).status().code(), absl::StatusCode::kFailedPrecondition);
  const CancelResult result = Cancel("ours");
  EXPECT_EQ(result.cancelled, 1) << "job 4";
  EXPECT_EQ(result.requested, 1);
  EXPECT_EQ(Heartbeat({lease})->cancel.size(), 1u);
  ASSERT_EQ(*Finish(lease, JobState::kCancelled), JobState::kCancelled);
  const auto deleted = manager->clients().DeleteSweep("ours", now);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->kept, 1) << "job 2, which theirs names";
  EXPECT_EQ(Get(2).home_sweep, "theirs");
}

TEST_F(SharedJobsTest, ARepeatedCancellationDoesNothingMoreAndSaysTheSameOfWhatWasLeft) {
  const RequestName request = {.id = "0123456789abcdef0123456789abcdef", .body_hash = "1"};
  const auto cancel = [&] { return *manager->clients().Cancel({"ours", {}}, now, request); };
  ASSERT_TRUE(manager->clients().Submit(Sweep({1, 2}, "ours"), now).ok());
  ASSERT_TRUE(manager->clients().Submit(Sweep({3}, "ours"), now).ok());
  EXPECT_EQ(cancel().cancelled, 3);
  ASSERT_TRUE(manager->clients().Submit(Sweep({4}, "ours"), now).ok());
  ASSERT_TRUE(manager->clients().Submit(Sweep({5}, "ours"), now).ok());
  EXPECT_EQ(cancel().cancelled, 3) << "as it was answered";
  EXPECT_EQ(State(4), JobState::kQueued) << "which was left since";
  EXPECT_EQ(State(5), JobState::kQueued);
}

TEST_F(SharedJobsTest, AJobThatIsWantedAgainBeforeItsWorkerHeardOfTheCancellationGoesOn) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  for (const JobSelection& selection : {JobSelection{"s", {}}, JobSelection{"", {Id(1)}}}) {
    ASSERT_EQ(Cancel(selection.sweep, selection.jobs).requested, 1);
    const auto submitted = manager->clients().Submit(Sweep({1}), now);
    ASSERT_TRUE(submitted.ok()) << submitted.status();
    EXPECT_THAT(submitted->states, ElementsAre(JobState::kRunning));
    EXPECT_THAT(submitted->resumed, ElementsAre(true));
    EXPECT_THAT(manager->clients().Submit(Sweep({1}), now)->resumed, ElementsAre(false)) << "it is not any more";
    EXPECT_THAT(Heartbeat({lease})->cancel, IsEmpty());
    ASSERT_EQ(Cancel(selection.sweep, selection.jobs).requested, 1);
    EXPECT_THAT(*manager->clients().Retry(selection, now), ElementsAre(Id(1)));
    EXPECT_THAT(Heartbeat({lease})->cancel, IsEmpty());
  }
  EXPECT_EQ(*Finish(lease, JobState::kSucceeded), JobState::kSucceeded);
}

TEST_F(SharedJobsTest, ARepeatedSubmissionIsToldAgainWhichJobsGoOn) {
  Submit({1});
  Register();
  Start(1);
  ASSERT_EQ(Cancel("s").requested, 1);
  SubmitRequest request = Sweep({1, 2});
  request.request_id = "once";
  request.body_hash = "body";
  EXPECT_THAT(DryRun(request).resumed, ElementsAre(true, false));
  for (int call = 0; call < 2; ++call) {
    const auto result = manager->clients().Submit(request, now);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(result->resumed, ElementsAre(true, false)) << call;
    EXPECT_THAT(result->added, ElementsAre(false, true)) << call;
  }
}

TEST_F(SharedJobsTest, AJobThatIsWantedAgainWhileItsWorkerStopsItIsQueuedAgainFromItsLastCheckpoint) {
  ASSERT_TRUE(manager->clients().Submit(Sweep({1}, "ours"), now).ok());
  Register();
  const Lease lease = Start(1);
  ASSERT_TRUE(manager->workers().Report("w", lease, {Progress(2, 10)}, now).ok());
  ASSERT_TRUE(manager->workers().CommitCheckpoint("w", lease, {10, "hash", {{"a", 5, "x"}}, 2}, now).ok());
  ASSERT_EQ(Cancel("ours").requested, 1);
  ASSERT_EQ(Heartbeat({lease})->cancel.size(), 1u);
  ASSERT_TRUE(manager->clients().Submit(Sweep({1}, "theirs"), now).ok());
  EXPECT_EQ(*Finish(lease, JobState::kCancelled), JobState::kQueued);
  EXPECT_EQ(Get(1).generation, 1);
  EXPECT_EQ(Get(1).failures, FailureCounts()) << "nobody is to blame";
  const std::vector<Grant> grants = Poll(2);
  ASSERT_EQ(grants.size(), 1u);
  ASSERT_TRUE(grants[0].resume_from.has_value());
  EXPECT_EQ(grants[0].resume_from->step, 10);
}

TEST_F(SharedJobsTest, AJobThatRunsTooLongEndsThoughItIsSubmittedAgain) {
  SubmitRequest request = Sweep({1});
  request.max_time_ms = 5'000;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  Register();
  const Lease lease = Start(1);
  for (int second = 0; second < 7; ++second) {
    Pass(1000);
    ASSERT_TRUE(Heartbeat({lease}).ok());
  }
  ASSERT_EQ(Heartbeat({lease})->cancel.size(), 1u);
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  EXPECT_EQ(*Finish(lease, JobState::kCancelled), JobState::kFailed);
}

TEST_F(SharedJobsTest, ACancelledSweepWantsItsFailedJobsNoMore) {
  SubmitBoth();
  ASSERT_EQ(Cancel("", {Id(1)}).cancelled, 1);
  Register();
  const Lease lease = Start(1);
  ASSERT_EQ(lease.job_id, Id(2));
  ASSERT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  Cancel("ours");
  EXPECT_THAT(*manager->clients().Retry({"theirs", {}}, now), ElementsAre(Id(2)));
  EXPECT_EQ(Cancel("theirs").kept, 0);
  EXPECT_EQ(State(2), JobState::kCancelled);
}

TEST_F(SharedJobsTest, WhatHasSucceededStaysItsSweepsOwnWhenTheRestIsCancelled) {
  SubmitBoth();
  ASSERT_EQ(Cancel("", {Id(1)}).cancelled, 1);
  Register();
  const Lease lease = Start(1);
  ASSERT_EQ(lease.job_id, Id(2));
  ASSERT_EQ(*Finish(lease, JobState::kSucceeded), JobState::kSucceeded);
  Cancel("ours");
  EXPECT_EQ(Get(2).home_sweep, "ours");
}

TEST_F(SharedJobsTest, ASweepAloneDoesNotTakeTheCheckpointsOfAJobThatAnotherWants) {
  SubmitBoth();
  ASSERT_EQ(Cancel("", {Id(1)}).cancelled, 1);
  Register();
  const Lease lease = Start(1);
  ASSERT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  const auto refused = manager->clients().Retry({"theirs", {}}, now, /*from_step=*/0);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("another sweep wants it"));
  EXPECT_EQ(State(2), JobState::kFailed);
  EXPECT_EQ(manager->clients().Retry({"", {Id(2)}}, now, /*from_step=*/0)->size(), 1u);
}

TEST_F(SharedJobsTest, AJobThatIsRetriedByItsIdIsWantedByItsHomeAgain) {
  ASSERT_TRUE(manager->clients().Submit(Sweep({1}, "ours"), now).ok());
  ASSERT_EQ(Cancel("ours").cancelled, 1);
  ASSERT_EQ(manager->clients().Retry({"", {Id(1)}}, now)->size(), 1u);
  ASSERT_TRUE(manager->clients().Submit(Sweep({1}, "theirs"), now).ok());
  EXPECT_EQ(Get(1).home_sweep, "ours");
  EXPECT_EQ(Cancel("theirs").kept, 1);
}

TEST_F(SharedJobsTest, AJobThatItsHomeDoesNotWantIsAtHomeWithTheSweepThatDoes) {
  SubmitBoth();
  Cancel("ours");
  EXPECT_EQ(Get(2).home_sweep, "theirs");
  EXPECT_EQ(*manager->clients().SetPriority("theirs", -1), 2);
  // One that nobody wanted for a while goes to whoever wants it next.
  ASSERT_EQ(State(1), JobState::kCancelled);
  ASSERT_TRUE(manager->clients().Submit(Sweep({1}, "next"), now).ok());
  EXPECT_EQ(Get(1).home_sweep, "next");
  // So does one that its home names no more.
  ASSERT_TRUE(manager->clients().Submit(Sweep({2}, "next"), now).ok());
  ASSERT_TRUE(manager->clients().Submit(Sweep({3}, "theirs"), now).ok());
  EXPECT_EQ(Get(2).home_sweep, "next");
}

TEST_F(SharedJobsTest, SubmittingOrRetryingASweepRenewsItsWish) {
  SubmitBoth();
  ASSERT_EQ(Cancel("ours").kept, 1);
  ASSERT_TRUE(manager->clients().Submit(Sweep({1, 2}, "ours"), now).ok());
  EXPECT_EQ(Cancel("theirs").kept, 1);
  ASSERT_TRUE(manager->clients().Retry({"theirs", {}}, now).ok());
  EXPECT_EQ(Cancel("ours").kept, 1);
  EXPECT_EQ(State(2), JobState::kQueued);
}

TEST_F(SharedJobsTest, ASweepsPriorityIsThatOfItsOwnJobsThatHaveNotEnded) {
  SubmitBoth();
  const auto priority = [this](int job) { return manager->queries().GetJob(Id(job))->job.priority; };
  EXPECT_EQ(*manager->clients().SetPriority("theirs", 7), 1) << "job 2 came with ours";
  EXPECT_EQ(priority(2), 0);
  EXPECT_EQ(priority(3), 7);
  ASSERT_EQ(Cancel("", {Id(1)}).cancelled, 1);
  EXPECT_EQ(*manager->clients().SetPriority("ours", -3), 1) << "job 1 has ended";
  EXPECT_EQ(priority(1), 0);
  EXPECT_EQ(priority(2), -3);
  EXPECT_EQ(*manager->clients().SetPriority("ours", -3), 0);
  EXPECT_TRUE(absl::IsNotFound(manager->clients().SetPriority("nosuch", 1).status()));
  const auto why = [this](int job) { return manager->queries().Explain(Id(job), now)->reasons; };
  EXPECT_THAT(why(2), ::testing::Contains("1 queued job goes before it"));
  EXPECT_THAT(why(3), ::testing::Not(::testing::Contains(HasSubstr("before it"))));
  Register();
  EXPECT_EQ(Start(1).job_id, Id(3)) << "the larger one goes first";
}

TEST_F(SharedJobsTest, ASubmissionNarrowsNoLimitOfAQueuedJobThatAnotherSweepWants) {
  SubmitRequest ours = Sweep({1}, "ours"), theirs = Sweep({1}, "theirs");
  ours.devices = 2;
  ours.per_worker = 1;
  ours.max_time_ms = 86'400'000;
  ours.stall_ms = 1'800'000;
  ours.retry_budget = {.infra = 10, .out_of_memory = 0, .nan = 1, .user = 0};
  ASSERT_TRUE(manager->clients().Submit(ours, now).ok());
  theirs.priority = -900;
  theirs.max_time_ms = 60'000;
  theirs.stall_ms = 600'000;
  theirs.retry_budget = {.infra = 0, .out_of_memory = 2, .nan = 0, .user = 3};
  const FailureCounts larger = {.infra = 10, .out_of_memory = 2, .nan = 1, .user = 3};
  for (const bool cancelled : {false, true}) {
    if (cancelled)
      EXPECT_EQ(Cancel("theirs").kept, 1);
    else
      ASSERT_TRUE(manager->clients().Submit(theirs, now).ok());
    EXPECT_EQ(Get(1).priority, 0);
    EXPECT_EQ(Get(1).devices, 2);
    EXPECT_EQ(Get(1).per_worker, 1);
    EXPECT_EQ(Get(1).max_time_ms, 86'400'000);
    EXPECT_EQ(Get(1).stall_ms, 1'800'000);
    EXPECT_EQ(Get(1).retry_budget, larger);
  }
  // Nobody else wants it now: its sweep says what holds.
  ASSERT_TRUE(manager->clients().Submit(ours, now).ok());
  EXPECT_EQ(Get(1).retry_budget, ours.retry_budget);
  ours.max_time_ms = 1'000;
  ASSERT_TRUE(manager->clients().Submit(ours, now).ok());
  EXPECT_EQ(Get(1).max_time_ms, 1'000);
}

TEST_F(SharedJobsTest, AHomeThatIsSubmittedAgainOrdersTheQueueAndNarrowsNoLimit) {
  SubmitRequest ours = Sweep({1}, "ours"), theirs = Sweep({1}, "theirs");
  ours.max_time_ms = 60'000;
  ASSERT_TRUE(manager->clients().Submit(ours, now).ok());
  ASSERT_TRUE(manager->clients().Submit(theirs, now).ok());
  EXPECT_EQ(Get(1).max_time_ms, 0) << "theirs has asked for no limit, which is the laxest";
  ours.priority = -3;
  ours.devices = 4;
  ours.stall_ms = 600'000;
  ours.retry_budget = {.infra = 0, .out_of_memory = 0, .nan = 0, .user = 0};
  ASSERT_TRUE(manager->clients().Submit(ours, now).ok());
  EXPECT_EQ(Get(1).priority, -3);
  EXPECT_EQ(Get(1).devices, 4);
  EXPECT_EQ(Get(1).max_time_ms, 0);
  EXPECT_EQ(Get(1).stall_ms, 0);
  EXPECT_EQ(Get(1).retry_budget, theirs.retry_budget);
}

TEST_F(SharedJobsTest, ARunningJobKeepsItsLimitsWhoeverSubmitsIt) {
  SubmitBoth();
  ASSERT_EQ(Cancel("", {Id(1)}).cancelled, 1);
  Register();
  ASSERT_EQ(Start(1).job_id, Id(2));
  SubmitRequest theirs = Sweep({2, 3}, "theirs");
  theirs.max_time_ms = 60'000;
  theirs.priority = -900;
  ASSERT_TRUE(manager->clients().Submit(theirs, now).ok());
  EXPECT_EQ(Get(2).max_time_ms, 0);
  EXPECT_EQ(Get(2).priority, 0);
}

TEST_F(SharedJobsTest, DeletingOneSweepLeavesTheOthersJobs) {
  SubmitBoth();
  const auto early = manager->clients().DeleteSweep("ours", now);
  EXPECT_EQ(early.status().code(), absl::StatusCode::kFailedPrecondition) << "job 1 has not ended";
  ASSERT_EQ(Cancel("ours").cancelled, 1);
  const auto result = manager->clients().DeleteSweep("ours", now);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->kept, 1);
  EXPECT_EQ(result->deleted, 1);
  EXPECT_TRUE(absl::IsNotFound(manager->queries().GetSweep("ours").status()));
  EXPECT_TRUE(absl::IsNotFound(manager->queries().GetJob(Id(1)).status()));
  // Job 2 came with the deleted sweep; it waits, and runs, for the other.
  const auto job = manager->queries().GetJob(Id(2));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->job.home_sweep, "theirs");
  ASSERT_EQ(job->job.sweeps.size(), 1u);
  Register();
  EXPECT_EQ(Start(1).job_id, Id(2));
  EXPECT_TRUE(absl::IsNotFound(manager->clients().DeleteSweep("ours", now).status()));
}

TEST_F(SharedJobsTest, ASweepIsNotDeletedWhileItAloneWantsAJobThatACancelledOneHasToo) {
  SubmitBoth();
  ASSERT_EQ(Cancel("", {Id(1)}).cancelled, 1);
  Register();
  const Lease lease = Start(1);
  ASSERT_EQ(lease.job_id, Id(2));
  ASSERT_EQ(Cancel("theirs").kept, 1);
  const auto early = manager->clients().DeleteSweep("ours", now);
  EXPECT_EQ(early.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(early.status().message()), HasSubstr("1 job of ours has not ended; cancel the sweep first"));
  EXPECT_EQ(Cancel("ours").requested, 1);
  EXPECT_EQ(Heartbeat({lease})->cancel.size(), 1u);
  ASSERT_EQ(*Finish(lease, JobState::kCancelled), JobState::kCancelled);
  const auto deleted = manager->clients().DeleteSweep("ours", now);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->kept, 1);
}

TEST_F(SharedJobsTest, AJobThatNobodyWantsAnyMoreWhileItsSweepIsDeletedEnds) {
  SubmitBoth();
  ASSERT_EQ(Cancel("", {Id(1)}).cancelled, 1);
  StoreWithAGuest interrupted(&store);
  const auto deleting = JobManager::Start(&interrupted, {}, nullptr, now);
  ASSERT_TRUE(deleting.ok()) << deleting.status();
  interrupted.guest = [this] { EXPECT_EQ(Cancel("theirs").kept, 1); };
  const auto deleted = (*deleting)->clients().DeleteSweep("ours", now);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->kept, 1);
  EXPECT_EQ(State(2), JobState::kCancelled);
  EXPECT_EQ(Get(2).home_sweep, "theirs");
}

TEST_F(SharedJobsTest, ASweepThatIsAskedForAgainIsNotDeletedForTheOneBefore) {
  const auto generation = [this] { return manager->queries().GetSweep("ours")->generation; };
  ASSERT_TRUE(manager->clients().Submit(Sweep({1}, "ours"), now).ok());
  Register();
  const Lease lease = Start(1);
  const int64_t first = generation();
  ASSERT_EQ(Cancel("ours").requested, 1);
  EXPECT_EQ(generation(), first);
  ASSERT_TRUE(manager->clients().Submit(Sweep({1}, "ours"), now).ok());
  const int64_t second = generation();
  EXPECT_GT(second, first);
  EXPECT_TRUE(absl::IsAborted(manager->clients().DeleteSweep("ours", now, first).status())) << "and its job runs";
  ASSERT_EQ(*Finish(lease, JobState::kSucceeded), JobState::kSucceeded);
  const auto late = manager->clients().DeleteSweep("ours", now, first);
  EXPECT_TRUE(absl::IsAborted(late.status())) << late.status();
  EXPECT_THAT(std::string(late.status().message()), HasSubstr("ours was submitted or retried again meanwhile"));
  EXPECT_EQ(State(1), JobState::kSucceeded);
  ASSERT_TRUE(manager->clients().DeleteSweep("ours", now, second).ok());
  // One that comes anew under its name is another one, too.
  ASSERT_TRUE(manager->clients().Submit(Sweep({1}, "ours"), now).ok());
  EXPECT_GT(generation(), second);
}

TEST_F(SharedJobsTest, ASweepWhoseJobsAreRetriedIsNotDeletedForTheOneBefore) {
  const auto generation = [this] { return manager->queries().GetSweep("ours")->generation; };
  ASSERT_TRUE(manager->clients().Submit(Sweep({1}, "ours"), now).ok());
  ASSERT_EQ(Cancel("ours").cancelled, 1);
  for (const JobSelection& selection : {JobSelection{"ours", {}}, JobSelection{"", {Id(1)}}}) {
    const int64_t before = generation();
    ASSERT_EQ(manager->clients().Retry(selection, now)->size(), 1u);
    ASSERT_EQ(Cancel("ours").cancelled, 1);
    EXPECT_TRUE(absl::IsAborted(manager->clients().DeleteSweep("ours", now, before).status()));
  }
  EXPECT_TRUE(manager->clients().DeleteSweep("ours", now).ok());
}

TEST_F(SharedJobsTest, AJobThatItsSweepNamesNoMoreGoesWithIt) {
  SubmitBoth();
  ASSERT_TRUE(manager->clients().Submit(Sweep({2}, "ours"), now).ok());
  ASSERT_EQ(Cancel("", {Id(1)}).cancelled, 1);
  const auto result = manager->clients().DeleteSweep("ours", now);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->deleted, 1);
  EXPECT_TRUE(absl::IsNotFound(manager->queries().GetJob(Id(1)).status()));
}

TEST_F(SharedJobsTest, ARepeatedCancelOrDeleteGetsTheFirstAnswerAndChangesNothing) {
  SubmitBoth();
  const auto cancel = [this](const RequestName& request) {
    const auto result = manager->clients().Cancel({"ours", {}}, now, request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? std::tuple(result->cancelled, result->requested, result->kept) : std::tuple(-1, -1, -1);
  };
  EXPECT_EQ(cancel({"first", "body"}), std::tuple(1, 0, 1));
  ASSERT_TRUE(manager->clients().Retry({"ours", {}}, now).ok());
  EXPECT_EQ(cancel({"first", "body"}), std::tuple(1, 0, 1)) << "its answer was lost";
  EXPECT_EQ(State(1), JobState::kQueued) << "that it was queued again since is not undone";
  EXPECT_EQ(cancel({"second", "body"}), std::tuple(1, 0, 1));

  const auto erase = [this](const RequestName& request) {
    return manager->clients().DeleteSweep("ours", now, std::nullopt, request);
  };
  for (int call = 0; call < 2; ++call) {
    const auto result = erase({"third", "body"});
    ASSERT_TRUE(result.ok()) << call << ": " << result.status();
    EXPECT_EQ(std::pair(result->deleted, result->kept), std::pair(1, 1)) << call;
  }
  EXPECT_EQ(erase({"third", "another body"}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(absl::IsNotFound(erase({"fourth", "body"}).status()));
  ASSERT_TRUE(manager->clients().Submit(Sweep({1}, "ours"), now).ok());
  EXPECT_TRUE(erase({"third", "body"}).ok());
  EXPECT_EQ(State(1), JobState::kQueued) << "the sweep that has come since is another one";
}

TEST_F(SharedJobsTest, ADeletedJobThatHasRunIsKnownUntilItsFilesAreGone) {
  SubmitBoth();
  Register();
  const Lease lease = Start(1);
  const std::string id = lease.job_id;
  ASSERT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  ASSERT_TRUE(manager->clients().Cancel({"ours", {}}, now).ok());
  ASSERT_TRUE(manager->clients().Cancel({"theirs", {}}, now).ok());
  ASSERT_TRUE(manager->clients().DeleteSweep("ours", now).ok());
  ASSERT_TRUE(manager->clients().DeleteSweep("theirs", now).ok());
  CheckpointCalls& files = manager->checkpoints();
  const store::DeletedJob deleted = {id, lease.fence};
  EXPECT_THAT(*files.Deleted(), ElementsAre(deleted)) << "and none that never ran";
  ASSERT_TRUE(files.FilesAreGone({store::DeletedJob{id, lease.fence - 1}}).ok());
  EXPECT_THAT(*files.Deleted(), ElementsAre(deleted)) << "those of its last attempt are there yet";
  ASSERT_TRUE(files.FilesAreGone({deleted}).ok());
  EXPECT_THAT(*files.Deleted(), IsEmpty());
}

TEST_F(SharedJobsTest, AJobCancelledByItsIdEndsForAll) {
  SubmitBoth();
  EXPECT_EQ(Cancel("", {Id(2)}).cancelled, 1);
  EXPECT_EQ(State(2), JobState::kCancelled);
}

TEST_F(SharedJobsTest, ASubmissionTellsWhereItsStoredJobsAre) {
  SubmitBoth();
  ASSERT_EQ(Cancel("", {Id(2)}).cancelled, 1);
  EXPECT_THAT(DryRun(Sweep({1, 2, 9}, "ours")).states,
              ElementsAre(JobState::kQueued, JobState::kCancelled, JobState::kQueued));
}

TEST_F(SharedJobsTest, AnotherStudyOfTheSameNameAsksBeforeItTakesItsPlace) {
  SubmitBoth();
  SubmitRequest other = Sweep({7}, "ours");
  other.jobs[0].experiment = "something_else";
  const auto refused = manager->clients().Submit(other, now);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("experiments e, none of which"));
  other.dry_run = true;
  EXPECT_FALSE(manager->clients().Submit(other, now).ok());
  other.dry_run = false;
  other.replace = true;
  const auto replaced = manager->clients().Submit(other, now);
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_EQ(replaced->removed_count, 2);
  SubmitRequest grown = Sweep({7, 8}, "ours");
  grown.jobs[0].experiment = "something_else";
  EXPECT_TRUE(manager->clients().Submit(grown, now).ok()) << "one experiment in common is the same study, edited";
}

}  // namespace
}  // namespace sink
