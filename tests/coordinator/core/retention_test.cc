// Old curves are thinned by age and rank: what stays, whose, and when.
#include "coordinator/core/retention.h"

#include "tests/coordinator/core/fixture.h"

namespace sink {
namespace {

constexpr int64_t kDay = 24 * 3'600'000;

class RetentionTest : public ManagerTest {
 protected:
  // A job of its own that measures `steps` times and succeeds, with this validation loss.
  void Run(int n, int steps, double loss, uint64_t poll) {
    Register();
    const Lease lease = Start(poll);
    ASSERT_EQ(lease.job_id, Id(n));
    std::vector<Event> events;
    uint64_t seq = 1;
    for (int step = 1; step <= steps; ++step) events.push_back(Metric(++seq, step, 1.0 / step));
    events.push_back(Metric(++seq, steps, loss, "validation_loss/all"));
    ASSERT_TRUE(manager->workers().Report("w", lease, events, now).ok());
    ASSERT_EQ(*Finish(lease, JobState::kSucceeded, FailureClass::kNone, seq), JobState::kSucceeded) << n;
  }
  std::vector<int64_t> Steps(int n) {
    store::MetricQuery query;
    query.names = {"train_loss"};
    std::vector<int64_t> steps;
    const auto points = manager->queries().ReadMetrics(Id(n), query);
    EXPECT_TRUE(points.ok()) << points.status();
    for (const MetricPoint& point : *points) {
      EXPECT_EQ(point.value, 1.0 / static_cast<double>(point.step)) << "a point keeps its value";
      steps.push_back(point.step);
    }
    return steps;
  }
};

TEST_F(RetentionTest, OldCurvesKeepTheirEndsAndEvenlySpacedPointsBetween) {
  job_steps = 900;
  Submit({1});
  Run(1, 900, 2.0, 1);
  const RetentionPolicy policy{.full_for_ms = 30 * kDay, .points_a_curve = 10};
  Advance(29 * kDay);
  EXPECT_EQ(manager->retention().Collect(policy, false, now)->jobs, 0);
  EXPECT_EQ(Steps(1).size(), 900u);
  Advance(2 * kDay);
  const RetentionResult planned = *manager->retention().Collect(policy, /*dry_run=*/true, now);
  EXPECT_EQ(planned.jobs, 1);
  EXPECT_EQ(planned.points_before, 901);
  EXPECT_EQ(planned.points_after, 11);
  EXPECT_EQ(Steps(1).size(), 900u) << "a dry run changes nothing";
  EXPECT_EQ(manager->retention().Collect(policy, false, now)->points_after, 11);
  const std::vector<int64_t> kept = Steps(1);
  ASSERT_EQ(kept.size(), 10u);
  EXPECT_EQ(kept.front(), 1);
  EXPECT_EQ(kept.back(), 900);
  for (size_t i = 1; i < kept.size(); ++i) EXPECT_NEAR(static_cast<double>(kept[i] - kept[i - 1]), 99.9, 1);
  EXPECT_EQ(manager->retention().Collect(policy, false, now)->jobs, 0) << "nothing is left to do";
  EXPECT_EQ(Get(1).progress.latest.ToMap().at("train_loss"), 1.0 / 900);
}

TEST_F(RetentionTest, NothingIsThinnedByAClockThatWasJustSet) {
  keep_points = {.full_for_ms = 30 * kDay, .points_a_curve = 5};
  Restart();
  Submit({1});
  Run(1, 50, 1.0, 1);
  const auto tick = [this](int minutes) {
    for (; minutes > 0; --minutes) {
      Advance(60'000);
      ASSERT_TRUE(manager->retention().Tick(now).ok());
    }
  };
  tick(90);
  now.unix_ms += 40 * kDay;  // as of a machine that has just woken up, until it is told the time
  tick(50);
  now.unix_ms -= 40 * kDay;
  tick(90);
  EXPECT_EQ(Steps(1).size(), 50u);
  now.unix_ms += 40 * kDay;
  Restart();
  tick(50);
  EXPECT_EQ(Steps(1).size(), 50u) << "it may have been set before we began";
  tick(30);
  EXPECT_EQ(Steps(1).size(), 5u) << "it has been right for long";
}

TEST_F(RetentionTest, TheBestJobsOfASweepKeepAllPoints) {
  Submit({1, 2, 3});
  Run(1, 50, 3.0, 1);
  Run(2, 50, 1.0, 2);
  Run(3, 50, 2.0, 3);
  Advance(2 * kDay);
  EXPECT_EQ(manager->retention().Collect({.full_for_ms = kDay, .best = 1, .points_a_curve = 5}, false, now)->jobs, 2);
  EXPECT_EQ(Steps(1).size(), 5u);
  EXPECT_EQ(Steps(2).size(), 50u);
  EXPECT_EQ(Steps(3).size(), 5u);
}

TEST_F(RetentionTest, TheBestJobOfASweepKeepsAllPointsAlsoWhereItIsAtHomeInAnother) {
  ASSERT_TRUE(manager->clients().Submit(Sweep({1, 2}, "first"), now).ok());
  ASSERT_TRUE(manager->clients().Submit(Sweep({2, 3}, "second"), now).ok());
  Run(1, 50, 1.0, 1);
  Run(2, 50, 2.0, 2);
  Run(3, 50, 3.0, 3);
  Advance(2 * kDay);
  EXPECT_EQ(manager->retention().Collect({.full_for_ms = kDay, .best = 1, .points_a_curve = 5}, false, now)->jobs, 1);
  EXPECT_EQ(Steps(1).size(), 50u);
  EXPECT_EQ(Steps(2).size(), 50u) << "the second sweep's best";
  EXPECT_EQ(Steps(3).size(), 5u);
}

TEST_F(RetentionTest, AJobOfMoreSweepsThanAStepLooksAtKeepsAllPointsWhereOneOfThemNamesItBest) {
  for (int n = 10; n < 59; ++n)
    ASSERT_TRUE(manager->clients().Submit(Sweep({1, 2, 3}, "s" + std::to_string(n)), now).ok());
  ASSERT_TRUE(manager->clients().Submit(Sweep({2, 3}, "t"), now).ok());
  Run(1, 20, 1.0, 1);
  Run(2, 20, 2.0, 2);
  Run(3, 20, 3.0, 3);
  Advance(2 * kDay);
  int asked = 0;
  const auto gone = [&asked] { return ++asked < 0; };
  const RetentionPolicy policy{.full_for_ms = kDay, .best = 1, .points_a_curve = 5};
  EXPECT_EQ(manager->retention().Collect(policy, false, now, gone)->jobs, 1);
  EXPECT_GE(asked, 4) << "a step is short, and who waits for it may leave";
  EXPECT_EQ(Steps(1).size(), 20u);
  EXPECT_EQ(Steps(2).size(), 20u);
  EXPECT_EQ(Steps(3).size(), 5u);
}

TEST_F(RetentionTest, ASweepsBestJobsAreLookedForOnceHoweverManyJobsItHas) {
  std::vector<int> jobs;
  for (int n = 1; n <= 46; ++n) jobs.push_back(n);
  Submit(jobs);
  for (int n = 1; n <= 45; ++n) Run(n, 6, n == 30 ? 1.0 : 2.0, static_cast<uint64_t>(n));
  const Lease running = Start(46);
  Advance(2 * kDay);
  int asked = 0;
  const auto gone = [&] {
    if (++asked == 2) {  // twenty jobs are done, and another is the best from here on
      EXPECT_TRUE(manager->workers().Report("w", running, {Metric(2, 1, 0.5, "validation_loss/all")}, now).ok());
    }
    return false;
  };
  const RetentionPolicy policy{.full_for_ms = kDay, .best = 1, .points_a_curve = 3};
  EXPECT_EQ(manager->retention().Collect(policy, false, now, gone)->jobs, 44);
  EXPECT_GE(asked, 3);
  EXPECT_EQ(Steps(30).size(), 6u);
}

TEST_F(RetentionTest, NothingMoreIsThinnedForSomebodyWhoHasLeft) {
  Submit({1});
  Run(1, 50, 1.0, 1);
  Advance(2 * kDay);
  const auto result =
      manager->retention().Collect({.full_for_ms = kDay, .points_a_curve = 5}, false, now, [] { return true; });
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Steps(1).size(), 50u);
}

TEST_F(RetentionTest, AJobThatIsRetriedIsLeftAlone) {
  Submit({1});
  Register();
  const Lease lease = Start(1);
  ASSERT_TRUE(
      manager->workers().Report("w", lease, {Metric(2, 1, 1.0), Metric(3, 2, 0.5), Metric(4, 3, 1.0 / 3)}, now).ok());
  ASSERT_EQ(*Finish(lease, JobState::kFailed, FailureClass::kUser, 4), JobState::kFailed);
  Advance(2 * kDay);
  ASSERT_TRUE(manager->clients().Retry({.sweep = "", .jobs = {Id(1)}}, now).ok());
  EXPECT_EQ(manager->retention().Collect({.full_for_ms = kDay, .points_a_curve = 2}, false, now)->jobs, 0);
  EXPECT_EQ(Steps(1).size(), 3u);
}

}  // namespace
}  // namespace sink
