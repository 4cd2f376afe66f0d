// Submission, cancellation, retry, events, checkpoints and ends of attempts.
#include <cmath>
#include <limits>
#include <optional>

#include "coordinator/core/clean_text.h"
#include "coordinator/core/event_effects.h"
#include "coordinator/errors/error_detail.h"
#include "coordinator/job/status_macros.h"
#include "tests/coordinator/core/fixture.h"

namespace sink {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class JobTest : public ManagerTest {
 protected:
  std::vector<LogLine> Logs() { return manager->queries().ReadLogs(Id(1), 0, 0, 100)->lines; }
  std::vector<MetricPoint> Metrics() { return *manager->queries().ReadMetrics(Id(1), {}); }
};

TEST_F(JobTest, SubmittingTwiceAddsNothingAndEditingAddsTheDifference) {
  auto first = manager->clients().Submit(Sweep({1, 2, 1}), now);
  EXPECT_THAT(first->added, ElementsAre(true, true, false));
  EXPECT_EQ(manager->clients().Submit(Sweep({1, 2, 1}), now)->added_count, 0);
  auto edited = manager->clients().Submit(Sweep({1, 3}), now);
  EXPECT_EQ(edited->added_count, 1);
  EXPECT_EQ(edited->removed_count, 1);
  std::vector<std::string> ids;
  const auto sweep = manager->queries().VisitSweep("s", [&](const Job& job) { ids.push_back(job.id); });
  EXPECT_THAT(ids, ElementsAre(Id(1), Id(3)));
  EXPECT_EQ(sweep->jobs, 2);
  EXPECT_EQ(State(2), JobState::kQueued);  // left to run
}

TEST_F(JobTest, ADryRunSaysWhatWouldBeAddedAndStoresNothing) {
  SubmitRequest request = Sweep({1, 2});
  request.dry_run = true;
  EXPECT_EQ(manager->clients().Submit(request, now)->added_count, 2);
  EXPECT_THAT(*manager->queries().ListSweeps(), IsEmpty());
  EXPECT_THAT(*manager->queries().ListJobs({}), IsEmpty());
}

TEST_F(JobTest, ARepeatedRequestGetsItsFirstAnswerAndAReusedIdIsRefused) {
  SubmitRequest request = Sweep({1, 2});
  request.request_id = "r";
  request.body_hash = "h";
  EXPECT_EQ(manager->clients().Submit(request, now)->added_count, 2);
  EXPECT_THAT(manager->clients().Submit(request, now)->added, ElementsAre(true, true));
  request.body_hash = "other";
  EXPECT_EQ(manager->clients().Submit(request, now).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(JobTest, IsNamedByAnUnambiguousPrefix) {
  Submit({1, 2, 9999999});
  EXPECT_EQ(manager->queries().GetJob("0999")->job.id, Id(9999999));
  EXPECT_EQ(manager->queries().GetJob("0000").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(manager->queries().GetJob("099").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(manager->queries().GetJob("%%%%").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(manager->queries().GetJob("ffff").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(JobTest, EveryEventTakesEffectOnce) {
  Submit({1});
  Register();
  const Lease lease = Poll(1)[0].lease;
  const std::vector<Event> events = {
      Hello(1), Metric(2, 1, 0.5), Progress(3, 4), {4, pipe::Encode(pipe::Log{"info", "hi"}), 9}};
  EXPECT_EQ(*manager->workers().Report("w", lease, events, now), 4u);
  EXPECT_EQ(State(), JobState::kRunning);
  EXPECT_EQ(*manager->workers().Report("w", lease, events, now), 4u);
  EXPECT_EQ(*manager->workers().Report("w", lease, {events[3], Metric(5, 2, 0.25)}, now), 5u);
  EXPECT_EQ(*manager->workers().Report("w", lease, {}, now), 5u) << "as a worker asks whose spool was damaged";
  EXPECT_EQ(Metrics().size(), 2u);
  EXPECT_EQ(Logs().size(), 2u);  // the trainer's start and "hi"
  const Job job = Get();
  EXPECT_EQ(job.progress.step, 4);
  EXPECT_EQ(job.progress.max_steps, 100);
  EXPECT_EQ(job.progress.latest.ToMap(), (std::map<std::string, double>{{"train_loss", 0.25}}));
  const absl::Status gap = manager->workers().Report("w", lease, {Metric(7, 3, 1)}, now).status();
  EXPECT_EQ(ExpectedEvent(gap), 6u) << gap;
  EXPECT_THAT(std::string(gap.message()), HasSubstr("expected 6"));
  EXPECT_EQ(Metrics().size(), 2u);
}

TEST_F(JobTest, APointOfALaterAttemptReplacesTheEarlierOne) {
  Submit({1});
  Register();
  Lease lease = Start(1);
  ASSERT_TRUE(manager->workers().Report("w", lease, {Metric(2, 1, 0.5), Metric(3, 2, 0.4)}, now).ok());
  ASSERT_TRUE(Finish(lease, JobState::kFailed, FailureClass::kInfra).ok());
  Pass(1000);
  lease = Start(2);
  ASSERT_TRUE(manager->workers().Report("w", lease, {Metric(2, 1, 0.625)}, now).ok());
  ASSERT_EQ(Metrics().size(), 2u);
  EXPECT_EQ(Metrics()[0].value, 0.625);
  EXPECT_EQ(Metrics()[0].attempt, 2);
}

TEST_F(JobTest, ARetryFromAStepForgetsWhatWasMeasuredAfterIt) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  ASSERT_TRUE(manager->workers().Report("w", lease, {Metric(2, 40, 0.5), Metric(3, 50, 0.4)}, now).ok());
  ASSERT_TRUE(manager->workers().CommitCheckpoint("w", lease, {50, "hash", {{"a", 5, "x"}}, 3}, now).ok());
  ASSERT_TRUE(
      manager->workers()
          .Report("w", lease, {Metric(4, 60, 0.3), Metric(5, 80, 0.2), Metric(6, 80, 7, "late"), Progress(7, 80)}, now)
          .ok());
  ASSERT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  ASSERT_EQ(Get().progress.latest.Find("train_loss"), 0.2);

  ASSERT_EQ(manager->clients().Retry({"", {Id(1)}}, now, /*from_step=*/50)->size(), 1u);
  auto progress = Get().progress;
  EXPECT_EQ(progress.step, 50);
  EXPECT_EQ(progress.tokens, 50) << "of the 80 of step 80";
  EXPECT_EQ(progress.tokens_per_second, 0);
  EXPECT_EQ(progress.latest.ToMap(), (std::map<std::string, double>{{"train_loss", 0.4}}));
  ASSERT_EQ(Metrics().size(), 2u);
  EXPECT_EQ(Metrics().back().step, 50);
  EXPECT_THAT(Logs().back().text, HasSubstr("again from step 50"));

  ASSERT_EQ(manager->clients().Cancel({"", {Id(1)}}, now)->cancelled, 1);
  ASSERT_EQ(manager->clients().Retry({"", {Id(1)}}, now, /*from_step=*/0)->size(), 1u);
  progress = Get().progress;
  EXPECT_EQ(progress.step, 0);
  EXPECT_EQ(progress.tokens, 0);
  EXPECT_TRUE(progress.latest.ToMap().empty());
  EXPECT_THAT(Metrics(), IsEmpty());
}

TEST_F(JobTest, ARetryFromAStepGivesAJobThatHasMeasuredTooMuchRoomForWhatItMeasuresAnew) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  const auto map = [](uint64_t seq, int64_t step) {
    return Event{seq, pipe::Encode(pipe::Heatmap{step, "alpha/1", 1, 2, {0.25, 0.75}}), 1};
  };
  ASSERT_TRUE(manager->workers().Report("w", lease, {Metric(2, 10, 0.5), map(3, 10)}, now).ok());
  EXPECT_EQ(Get().progress.numbers, 1 + kLeastNumbersOfMap);
  ASSERT_TRUE(manager->workers().CommitCheckpoint("w", lease, {50, "hash", {{"a", 5, "x"}}, 1}, now).ok());
  ASSERT_TRUE(store
                  .Write([](store::Transaction& rows) -> absl::Status {
                    SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(Id(1)));
                    job.progress.numbers = kMaxNumbers;  // as if it had measured so much by step 10
                    return rows.UpdateJob(job);
                  })
                  .ok());
  ASSERT_TRUE(manager->workers().Report("w", lease, {Metric(4, 80, 0.1), map(5, 80), Progress(6, 80)}, now).ok());
  ASSERT_EQ(Metrics().size(), 1u) << "beyond what is kept";
  ASSERT_EQ(Get().progress.latest.Find("train_loss"), 0.1);
  ASSERT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kUser), JobState::kFailed);

  ASSERT_EQ(manager->clients().Retry({"", {Id(1)}}, now, /*from_step=*/50)->size(), 1u);
  EXPECT_EQ(Get().progress.latest.Find("train_loss"), 0.5) << "and not what was measured after the step";
  EXPECT_EQ(Get().progress.numbers, 1 + kLeastNumbersOfMap);
  const Lease second = Start(2);
  ASSERT_TRUE(manager->workers().Report("w", second, {Metric(2, 60, 0.4)}, now).ok());
  EXPECT_EQ(Metrics().size(), 2u);
}

TEST_F(JobTest, ARecordThatCannotBeReadBecomesAnErrorLineAndBlocksNothing) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  EXPECT_EQ(
      *manager->workers().Report("w", lease, {{2, "{nonsense", 1}, Metric(3, 1, 1, "bad name"), Metric(4, 1, 2)}, now),
      4u);
  EXPECT_EQ(Logs()[1].level, "error");
  EXPECT_THAT(Logs()[1].text, HasSubstr("event 2 could not be read"));
  EXPECT_THAT(Logs()[2].text, HasSubstr("metric name"));
  EXPECT_EQ(Metrics().size(), 1u);
}

TEST_F(JobTest, WhereLinesAreNoLongerKeptTheLogSaysHowMany) {
  Submit({1});
  const auto append = [this](int64_t first, int64_t last) {
    std::vector<LogLine> lines;
    for (int64_t n = first; n <= last; ++n) lines.push_back({0, n, 1, "stdout", std::to_string(n)});
    ASSERT_TRUE(store.Write([&](store::Transaction& rows) { return rows.AppendLogs(Id(1), lines); }).ok());
  };
  const auto read = [this](int64_t after, int tail = 0, int limit = 100'000) {
    return manager->queries().ReadLogs(Id(1), after, tail, limit)->lines;
  };
  append(1, 21'001);
  EXPECT_EQ(read(0)[1000].text, "(1 line between is no longer kept)");
  const int64_t follower = read(0, 1)[0].cursor;
  append(21'002, 33'345);
  const std::vector<LogLine> all = read(0);
  ASSERT_EQ(all.size(), 21'001u);
  EXPECT_EQ(all[999].text, "1000");
  EXPECT_EQ(all[1000].text, "(12,345 lines between are no longer kept)");
  EXPECT_EQ(all[1000].level, "warning");
  EXPECT_EQ(all[1001].text, "13346");
  EXPECT_EQ(all.back().text, "33345");
  EXPECT_EQ(read(follower)[0].text, "21002") << "it has kept pace";
  EXPECT_EQ(read(all[1000].cursor)[0].text, "13346") << "the gap was told already";
  std::vector<std::string> paged, whole;
  for (const LogLine& line : all) whole.push_back(line.text);
  for (std::vector<LogLine> page = read(0, 0, 1000); !page.empty(); page = read(page.back().cursor, 0, 1000))
    for (const LogLine& line : page) paged.push_back(line.text);
  EXPECT_EQ(paged, whole);
  append(33'346, 60'000);
  EXPECT_EQ(read(follower)[0].text, "(18,999 lines between are no longer kept)");
  EXPECT_EQ(read(follower)[1].text, "40001");
}

TEST_F(JobTest, ManyDroppedValuesAreOneLine) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  std::vector<Event> events;
  for (int i = 0; i < 500; ++i) events.push_back(Metric(2 + i, 1, 1, "bad name " + std::to_string(i)));
  const size_t before = Logs().size();
  ASSERT_TRUE(manager->workers().Report("w", lease, events, now).ok());
  ASSERT_EQ(Logs().size(), before + 1);
  EXPECT_THAT(Logs().back().text, HasSubstr("metric name \"bad name 0\" and 499 more dropped: it is not printable"));
}

TEST_F(JobTest, StepsBeyondTheJobsEndCountForNothing) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  constexpr int64_t kFar = int64_t{1} << 40;  // what a report may say at all
  const std::string boast = pipe::Encode(pipe::Hello{.pid = 1, .device = "cpu", .start_step = 0, .max_steps = kFar});
  ASSERT_TRUE(manager->workers().Report("w", lease, {{2, boast, 1}, Metric(3, kFar, 1), Progress(4, kFar)}, now).ok());
  EXPECT_EQ(Get().progress.max_steps, 100);
  EXPECT_EQ(Get().progress.step, 100);
  EXPECT_TRUE(Metrics().empty());
  EXPECT_THAT(Logs().back().text, HasSubstr("beyond the job's last one"));
  EXPECT_EQ(manager->workers().CommitCheckpoint("w", lease, {101, "hash", {}, 4}, now).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(JobTest, TheEndOfALogIsReadInPagesToo) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  std::vector<Event> events;
  for (uint64_t i = 0; i < 5; ++i) events.push_back({2 + i, pipe::Encode(pipe::Log{"info", std::to_string(i)}), 1});
  ASSERT_TRUE(manager->workers().Report("w", lease, events, now).ok());
  const LogPage page = *manager->queries().ReadLogs(Id(1), 0, /*tail=*/3, /*limit=*/2);
  ASSERT_EQ(page.lines.size(), 2u);
  EXPECT_EQ(page.lines[0].text, "2");
  EXPECT_EQ(manager->queries().ReadLogs(Id(1), page.lines[1].cursor, 0, 2)->lines.size(), 1u);
}

TEST_F(JobTest, SeriesAreBounded) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  std::vector<Event> events;
  for (size_t i = 0; i <= kMaxSeries; ++i) events.push_back(Metric(2 + i, 1, 1, "m" + std::to_string(i)));
  ASSERT_TRUE(manager->workers().Report("w", lease, events, now).ok());
  EXPECT_EQ(Get().progress.latest.ToMap().size(), kMaxSeries);
}

TEST_F(JobTest, NamesOfHeatMapsAreBounded) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  const auto map = [](uint64_t seq, const std::string& name, int64_t step) {
    return Event{seq, pipe::Encode(pipe::Heatmap{step, name, 1, 2, {0.25, 0.75}}), 1};
  };
  std::vector<Event> events;
  for (size_t i = 0; i < kMaxSeries + 5; ++i) events.push_back(map(2 + i, "m" + std::to_string(i), 1));
  const size_t before = Logs().size();
  ASSERT_TRUE(manager->workers().Report("w", lease, events, now).ok());
  EXPECT_EQ(manager->queries().ReadHeatmaps(Id(1))->size(), kMaxSeries);
  ASSERT_EQ(Logs().size(), before + 1);
  EXPECT_THAT(Logs().back().text, HasSubstr("heatmap m1000 and 4 more dropped: the job has heatmaps of 1000 names"));
  const uint64_t next = 2 + events.size();
  ASSERT_TRUE(manager->workers().Report("w", lease, {map(next, "m7", 2), map(next + 1, "another", 2)}, now).ok());
  EXPECT_EQ(manager->queries().ReadHeatmaps(Id(1))->size(), kMaxSeries + 1) << "one more of a name that is there";
}

TEST(EventEffects, BeyondItsQuotaAJobKeepsItsNewestValuesAloneAndSaysSoOnce) {
  Job job;
  job.progress.max_steps = 100;
  job.progress.numbers = kMaxNumbers - 2;
  const auto report = [&job](int64_t step) {
    const std::string values = pipe::Encode(pipe::Metrics{step, {{"a", static_cast<double>(step)}, {"b", 2}}});
    const std::string map = pipe::Encode(pipe::Heatmap{step, "alpha/1", 1, 2, {0.25, 0.75}});
    EventEffects effects;
    const uint64_t seq = job.event_cursor + 1;
    EXPECT_TRUE(ApplyEvents(ParseEvents({{seq, values, 1}, {seq + 1, map, 1}}), {}, &job, &effects));
    return effects;
  };
  const EventEffects last = report(1);
  EXPECT_EQ(last.metrics.size(), 2u);
  EXPECT_TRUE(last.heatmaps.empty());
  ASSERT_EQ(last.logs.size(), 1u);
  EXPECT_THAT(last.logs[0].text, HasSubstr("has measured 20000000 numbers"));
  const EventEffects beyond = report(2);
  EXPECT_TRUE(beyond.metrics.empty() && beyond.heatmaps.empty() && beyond.logs.empty());
  EXPECT_EQ(job.progress.latest.Find("a"), 2.0);
  EXPECT_EQ(job.progress.step, 2);
  EXPECT_GT(job.progress.numbers, kMaxNumbers);
}

TEST_F(JobTest, WhatAJobHasMeasuredIsCountedOverItsAttempts) {
  Submit({1});
  Register();
  const Lease first = Start(1);
  ASSERT_TRUE(manager->workers().Report("w", first, {Metric(2, 1, 1.0), Metric(3, 2, 1.0)}, now).ok());
  EXPECT_EQ(Get().progress.numbers, 2);
  ASSERT_EQ(*Finish(first, JobState::kFailed, FailureClass::kUser, 3), JobState::kFailed);
  ASSERT_TRUE(manager->clients().Retry({"s", {}}, now).ok());
  const Lease second = Start(2);
  ASSERT_TRUE(manager->workers().Report("w", second, {Metric(2, 1, 1.0)}, now).ok());
  EXPECT_EQ(Get().progress.numbers, 3);
}

TEST_F(JobTest, FinishWaitsForTheEventsAndAnswersARepetitionAlike) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  EXPECT_EQ(Finish(lease, JobState::kSucceeded, FailureClass::kNone, 2).status().code(), absl::StatusCode::kOutOfRange);
  ASSERT_TRUE(manager->workers().Report("w", lease, {Progress(2, 100)}, now).ok());
  EXPECT_EQ(*Finish(lease, JobState::kSucceeded, FailureClass::kNone, 2), JobState::kSucceeded);
  EXPECT_EQ(*Finish(lease, JobState::kSucceeded, FailureClass::kNone, 2), JobState::kSucceeded);
  EXPECT_FALSE(Finish(lease, JobState::kSucceeded, FailureClass::kNone, 2, "other").ok());
  EXPECT_EQ(Finish(lease, JobState::kRunning).status().code(), absl::StatusCode::kInvalidArgument);
  const auto details = manager->queries().GetJob(Id(1));
  ASSERT_EQ(details->attempts.size(), 1u);
  EXPECT_EQ(details->attempts[0].state, AttemptState::kSucceeded);
}

TEST_F(JobTest, EachClassOfFailureHasItsOwnBudget) {
  Submit({1});
  Register();
  Lease lease = Start(1);
  EXPECT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kNan), JobState::kQueued);
  EXPECT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kNan), JobState::kQueued);  // a repetition
  lease = Start(2);
  EXPECT_EQ(lease.attempt, 2);
  EXPECT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kNan), JobState::kFailed);
  EXPECT_EQ(Get().failure_class, FailureClass::kNan);
  EXPECT_EQ(Get().message, "why");
}

TEST_F(JobTest, ThreeRestartsWithoutAStepEndTheJob) {
  Submit({1});
  Register();
  for (int attempt = 1; attempt <= 4; ++attempt) {
    const Lease lease = Start(attempt);
    const auto state = Finish(lease, JobState::kFailed, FailureClass::kInfra);
    EXPECT_EQ(*state, attempt < 4 ? JobState::kQueued : JobState::kFailed) << attempt;
    Pass(60'000);
  }
  EXPECT_THAT(Get().message, HasSubstr("restarts in a row without a training step"));
}

TEST_F(JobTest, RestartsThatMakeStepsMayGoOn) {
  Submit({1});
  Register();
  for (int attempt = 1; attempt <= 6; ++attempt) {
    const Lease lease = Start(attempt);
    ASSERT_TRUE(manager->workers().Report("w", lease, {Progress(2, attempt)}, now).ok());
    EXPECT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kInfra), JobState::kQueued);
    Pass(60'000);
  }
}

TEST_F(JobTest, CancelEndsQueuedJobsAndAsksLiveOnes) {
  Submit({1, 2});
  Register();
  const Lease lease = Start(1);
  bool told = true;
  ASSERT_TRUE(manager->workers().Report("w", lease, {Progress(2, 1)}, now, &told).ok());
  EXPECT_FALSE(told);
  const auto result = manager->clients().Cancel({"s", {}}, now);
  EXPECT_EQ(result->cancelled, 1);
  EXPECT_EQ(result->requested, 1);
  EXPECT_EQ(State(2), JobState::kCancelled);
  ASSERT_TRUE(manager->workers().Report("w", lease, {Progress(3, 2)}, now, &told).ok());
  EXPECT_TRUE(told);
  EXPECT_THAT(Heartbeat({lease})->cancel, ElementsAre(lease));
  EXPECT_EQ(*Finish(lease, JobState::kCancelled), JobState::kCancelled);
  EXPECT_EQ(manager->clients().Cancel({"none", {}}, now).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(manager->clients().Cancel({}, now).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(JobTest, ACancelledJobSaysWhatItsAttemptLeftBehind) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  ASSERT_TRUE(manager->clients().Cancel({"", {Id(1)}}, now).ok());
  const FinishRequest finish = {.worker_id = "w",
                                .lease = lease,
                                .outcome = JobState::kCancelled,
                                .message = "cancelled",
                                .undelivered = "the checkpoint of step 7 is lost: disk full"};
  ASSERT_EQ(*manager->workers().Finish(finish, now), JobState::kCancelled);
  const std::string told = "cancelled; the checkpoint of step 7 is lost: disk full";
  EXPECT_EQ(Get().message, told);
  EXPECT_EQ(manager->queries().GetJob(Id(1))->attempts.back().message, told);
  EXPECT_EQ(manager->queries().Explain(Id(1), now)->reasons.front(), told);
}

TEST_F(JobTest, ACancelledJobWhoseWorkerIsLostIsCancelled) {
  Submit({1});
  Register();
  Start(1);
  ASSERT_TRUE(manager->clients().Cancel({"", {Id(1)}}, now).ok());
  Pass(11'000);
  EXPECT_EQ(State(), JobState::kCancelled);
}

TEST_F(JobTest, AnAttemptGivenBackByItsWorkerIsTriedAgainAtOnceAndCostsNothing) {
  Submit({1});
  Register();
  for (int attempt = 1; attempt <= 12; ++attempt) {  // more than the budget of 10
    const Lease lease = Start(attempt);
    ASSERT_TRUE(manager->workers().Report("w", lease, {Progress(2, attempt)}, now).ok());
    ASSERT_EQ(*Finish(lease, JobState::kCancelled), JobState::kQueued) << attempt;
  }
  EXPECT_EQ(Get().failures, FailureCounts());
  EXPECT_FALSE(Get().delayed);
  EXPECT_EQ(Get().failure_class, FailureClass::kNone);
  EXPECT_EQ(Get().message, "why");
  EXPECT_EQ(manager->queries().GetJob(Id(1))->attempts.back().state, AttemptState::kCancelled);
}

TEST_F(JobTest, AQueuedJobHasNoTrainingRate) {
  Submit({1});
  Register();
  const auto train = [this](uint64_t poll) {
    const Lease lease = Start(poll);
    EXPECT_TRUE(manager->workers().Report("w", lease, {Progress(2, 10 * static_cast<int64_t>(poll))}, now).ok());
    EXPECT_EQ(Get().progress.tokens_per_second, 1.0);
    return lease;
  };
  ASSERT_EQ(*Finish(train(1), JobState::kCancelled), JobState::kQueued) << "given back, as by a drain";
  EXPECT_EQ(Get().progress.tokens_per_second, 0);
  EXPECT_EQ(Get().progress.step, 10);
  ASSERT_EQ(*Finish(train(2), JobState::kFailed, FailureClass::kInfra), JobState::kQueued);
  EXPECT_EQ(Get().progress.tokens_per_second, 0);
  Pass(2'000);
  ASSERT_TRUE(Heartbeat({}).ok());
  train(3);
  Register("w", {}, "b");  // without the job, which is lost
  EXPECT_EQ(State(), JobState::kQueued);
  EXPECT_EQ(Get().progress.tokens_per_second, 0);
}

TEST_F(JobTest, AnAttemptGivenBackBeforeAStepIsNoRestartWithoutProgress) {
  Submit({1});
  Register();
  for (int attempt = 1; attempt <= 6; ++attempt)
    ASSERT_EQ(*Finish(Start(attempt), JobState::kCancelled), JobState::kQueued) << attempt;
  EXPECT_EQ(Get().restarts_without_progress, 0);
}

TEST_F(JobTest, RetryBeginsANewGenerationWithItsWholeBudget) {
  Submit({1, 2});
  Register();
  ASSERT_EQ(*Finish(Start(1), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  EXPECT_THAT(*manager->clients().Retry({"s", {}}, now), ElementsAre(Id(1)));
  const Job job = Get();
  EXPECT_EQ(job.state, JobState::kQueued);
  EXPECT_EQ(job.generation, 2);
  EXPECT_EQ(job.failures, FailureCounts());
  EXPECT_EQ(Start(2).attempt, 2);
}

TEST_F(JobTest, ARepeatedRetryGetsTheFirstAnswerAndQueuesNothingAgain) {
  Submit({1});
  Register();
  ASSERT_EQ(*Finish(Start(1), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  const auto retry = [this](const RequestName& request) {
    return manager->clients().Retry({"s", {}}, now, std::nullopt, request);
  };
  EXPECT_THAT(*retry({"first", "body"}), ElementsAre(Id(1)));
  ASSERT_EQ(*Finish(Start(2), JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  EXPECT_THAT(*retry({"first", "body"}), ElementsAre(Id(1)));  // its answer was lost
  EXPECT_EQ(State(), JobState::kFailed);
  EXPECT_EQ(retry({"first", "another body"}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(*retry({"second", "body"}), ElementsAre(Id(1)));
  EXPECT_EQ(State(), JobState::kQueued);
}

TEST_F(JobTest, ACheckpointIsCommittedOnlyAfterItsEvents) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  CheckpointCommit commit{10, "hash10", {{"a", 5, "x"}}, 2};
  const absl::Status early = manager->workers().CommitCheckpoint("w", lease, commit, now).status();
  EXPECT_EQ(early.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(early.message()), ::testing::Not(HasSubstr("stale")));
  ASSERT_TRUE(manager->workers().Report("w", lease, {Progress(2, 10)}, now).ok());
  EXPECT_THAT(*manager->workers().CommitCheckpoint("w", lease, commit, now), IsEmpty());
  EXPECT_THAT(*manager->workers().CommitCheckpoint("w", lease, commit, now), IsEmpty());
  EXPECT_EQ(checkpoint_bytes, 5u);
  for (int64_t step : {20, 30}) {
    commit.step = step;
    const auto dropped = manager->workers().CommitCheckpoint("w", lease, commit, now);
    EXPECT_EQ(dropped->size(), step == 30 ? 1u : 0u);
  }
  commit.manifest_hash = "hash30b";
  const auto replaced = manager->workers().CommitCheckpoint("w", lease, commit, now);
  ASSERT_EQ(replaced->size(), 1u);
  EXPECT_EQ(replaced->front().manifest_hash, "hash10");
  ASSERT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kUser), JobState::kFailed);
  ASSERT_TRUE(manager->clients().Retry({"s", {}}, now).ok());
  const std::vector<Grant> grants = Poll(2);
  ASSERT_EQ(grants.size(), 1u);
  ASSERT_TRUE(grants[0].resume_from.has_value());
  EXPECT_EQ(grants[0].resume_from->step, 30);
  EXPECT_EQ(Get().progress.step, 30);
}

TEST_F(JobTest, ChangesAreSignalled) {
  const uint64_t before = manager->queries().changes().version();
  Submit({1});
  EXPECT_GT(manager->queries().changes().WaitPast(before, std::chrono::milliseconds(0)), before);
  const uint64_t quiet = manager->queries().changes().version();
  ASSERT_TRUE(manager->expiry().Tick(now).ok());
  EXPECT_EQ(manager->queries().changes().WaitPast(quiet, std::chrono::milliseconds(1)), quiet);
}

TEST(CleanText, DropsControlsRepairsUtf8AndCuts) {
  EXPECT_EQ(CleanText("a\x1b[31mb\r\n\tc\x7f"), "a[31mb\n\tc");
  EXPECT_EQ(CleanText("\xff\xc3\xa9\xc0\xaf\xed\xa0\x80"), "?\xc3\xa9?????");
  EXPECT_EQ(CleanText("\xc2\x9b"), "");
  const std::string cut = CleanText(std::string(20'000, 'x'));
  EXPECT_LE(cut.size(), kMaxTextBytes);
  EXPECT_TRUE(cut.ends_with(" [cut]"));
  EXPECT_EQ(CleanText(std::string(kMaxTextBytes, 'x')).size(), kMaxTextBytes);
}

}  // namespace
}  // namespace sink
