// When a sweep will be over: from what its settings took, whatever the trainers' rates say at the moment.
#include "coordinator/cli/views/time_left.h"

#include <gtest/gtest.h>

namespace sink::cli {
namespace {

constexpr int64_t kNow = 1'000'000;  // ms

v1::Job* AddJob(v1::GetSweepResponse& status, const std::string& label, v1::JobState state, int64_t step,
                int64_t max_steps, int64_t took_ms, const std::string& experiment = "rates") {
  status.mutable_sweep()->set_name("study");
  v1::Job* job = status.add_jobs();
  job->set_state(state);
  job->set_attempt(1);
  job->mutable_progress()->set_step(step);
  job->mutable_progress()->set_max_steps(max_steps);
  if (took_ms > 0) job->set_started_ms(kNow - took_ms);
  if (state == v1::SUCCEEDED) job->set_finished_ms(kNow);
  v1::Membership* place = job->add_sweeps();
  place->set_sweep("study");
  place->set_experiment(experiment);
  place->set_label(label);
  return job;
}

TEST(TimeLeft, IsNothingWhenAllIsOverAndUnknownWhileNothingRuns) {
  v1::GetSweepResponse status;
  AddJob(status, "a", v1::SUCCEEDED, 100, 100, 50'000);
  EXPECT_EQ(EstimateTimeLeft(status, kNow)->seconds, 0);
  AddJob(status, "b", v1::QUEUED, 0, 100, 0);
  EXPECT_FALSE(EstimateTimeLeft(status, kNow).has_value());
}

TEST(TimeLeft, ASeedTakesWhatTheOtherSeedsOfItsSettingTook) {
  v1::GetSweepResponse status;
  AddJob(status, "a replica=1", v1::SUCCEEDED, 100, 100, 50'000);  // 0.5 s a step
  AddJob(status, "b replica=1", v1::RUNNING, 50, 100, 100'000);    // 2 s a step
  AddJob(status, "a replica=2", v1::QUEUED, 0, 100, 0);            // 50 s
  AddJob(status, "b replica=2", v1::QUEUED, 0, 100, 0);            // 200 s
  const auto left = EstimateTimeLeft(status, kNow);
  ASSERT_TRUE(left.has_value());
  EXPECT_DOUBLE_EQ(left->seconds, 100 + 50 + 200);  // one runs at a time
  EXPECT_EQ(left->least, left->seconds);
  EXPECT_EQ(left->most, left->seconds);
}

TEST(TimeLeft, ASettingThatNobodyMeasuredHasARange) {
  v1::GetSweepResponse status;
  AddJob(status, "a", v1::SUCCEEDED, 100, 100, 50'000);
  AddJob(status, "b", v1::RUNNING, 50, 100, 100'000);
  AddJob(status, "c", v1::QUEUED, 0, 100, 0);
  AddJob(status, "far", v1::SUCCEEDED, 100, 100, 900'000, "another");  // no measure of this experiment's settings
  const auto left = EstimateTimeLeft(status, kNow);
  ASSERT_TRUE(left.has_value());
  EXPECT_DOUBLE_EQ(left->least, 100 + 50);
  EXPECT_DOUBLE_EQ(left->seconds, 100 + 125);
  EXPECT_DOUBLE_EQ(left->most, 100 + 200);
  EXPECT_EQ(FormatTimeLeft(*left), "ETA 2m30s to 5m00s");
}

TEST(TimeLeft, IsSharedByWhatRunsButNoShorterThanTheLongestJob) {
  v1::GetSweepResponse status;
  AddJob(status, "a", v1::RUNNING, 50, 100, 50'000);
  AddJob(status, "b", v1::RUNNING, 50, 100, 50'000);
  EXPECT_DOUBLE_EQ(EstimateTimeLeft(status, kNow)->seconds, 50);
  AddJob(status, "c", v1::QUEUED, 0, 1000, 0);
  EXPECT_DOUBLE_EQ(EstimateTimeLeft(status, kNow)->seconds, 1000);
}

TEST(TimeLeft, DoesNotJumpWithTheTrainersRate) {
  v1::GetSweepResponse status;
  v1::Job* job = AddJob(status, "a", v1::RUNNING, 50, 100, 50'000);
  job->mutable_progress()->set_tokens(5'000);
  job->mutable_progress()->set_tokens_per_second(1);  // the machine does something else just now
  EXPECT_DOUBLE_EQ(EstimateTimeLeft(status, kNow)->seconds, 50);
}

TEST(TimeLeft, OfAJobThatWasTriedAgainTheTrainersRateCounts) {
  v1::GetSweepResponse status;
  v1::Job* job = AddJob(status, "a", v1::RUNNING, 50, 100, 900'000);
  job->set_attempt(2);
  job->mutable_progress()->set_tokens(5'000);
  job->mutable_progress()->set_tokens_per_second(100);
  EXPECT_DOUBLE_EQ(EstimateTimeLeft(status, kNow)->seconds, 50);
}

}  // namespace
}  // namespace sink::cli
