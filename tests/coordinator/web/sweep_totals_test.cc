// What the jobs of a sweep come to, as the page shows it.
#include "coordinator/web/sweep_totals.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sink::web {
namespace {

constexpr int64_t kNow = 1'000'000;  // ms

Job MakeJob(const std::string& id, const std::string& label, JobState state, int64_t step, double alpha_max) {
  Job job;
  job.id = id;
  job.state = state;
  job.attempt = 1;
  job.progress.step = step;
  job.progress.max_steps = 100;
  job.progress.tokens_per_second = 10;
  if (step > 0) job.started_ms = kNow - 100'000;
  if (IsFinal(state)) job.finished_ms = kNow;
  if (alpha_max > 0) job.progress.latest = LatestValues::FromMap({{"alpha_max/1", alpha_max}, {"train_loss", 2}});
  job.sweeps.push_back({.sweep = "study", .experiment = "rates", .label = label});
  return job;
}

nlohmann::json Told(const SweepTotals& totals, bool disk_full = false) {
  return nlohmann::json::parse(totals.Json(kNow, disk_full));
}

TEST(SweepTotals, TellProgressAndSinks) {
  SweepTotals totals;
  totals.Put(MakeJob("a", "1", JobState::kFailed, 50, 0.9));
  totals.Put(MakeJob("b", "2", JobState::kRunning, 50, 0.2));
  totals.Put(MakeJob("c", "3", JobState::kQueued, 0, 0));
  const nlohmann::json told = Told(totals);
  EXPECT_EQ(told["fraction"], 0.5);  // of a failed job nothing is left
  EXPECT_EQ(told["unfinished"], 2);
  EXPECT_EQ(told["running"], 1);
  EXPECT_EQ(told["tokens_per_second"], 10);
  EXPECT_EQ(told["measured"], 2);
  EXPECT_EQ(told["sinks"], 1);
  EXPECT_EQ(told["alpha_max"], 0.9);
}

TEST(SweepTotals, AJobThatIsPutAgainTakesItsPlace) {
  SweepTotals totals;
  totals.Put(MakeJob("a", "1", JobState::kRunning, 50, 0.2));
  totals.Put(MakeJob("a", "1", JobState::kSucceeded, 100, 0.4));
  EXPECT_EQ(totals.ids(), std::vector<std::string>{"a"});
  const nlohmann::json told = Told(totals);
  EXPECT_EQ(told["fraction"], 1);
  EXPECT_EQ(told["measured"], 1);
  EXPECT_EQ(told["alpha_max"], 0.4);
  EXPECT_EQ(told["eta_seconds"], 0);
}

TEST(SweepTotals, AJobOfACancelledSweepThatGoesOnForAnotherIsOver) {
  SweepTotals totals;
  Job job = MakeJob("a", "1", JobState::kRunning, 50, 0);
  job.sweeps.front().withdrawn = true;
  totals.Put(job);
  const nlohmann::json left = Told(totals);
  EXPECT_EQ(left["unfinished"], 0);
  EXPECT_EQ(left["fraction"], 1);
  EXPECT_EQ(left["eta_seconds"], 0);
  EXPECT_EQ(left["running"], 0);
  EXPECT_EQ(left["tokens_per_second"], 0);
  job.cancel_requested = true;
  totals.Put(job);
  EXPECT_EQ(Told(totals)["unfinished"], 1) << "it is being stopped";
}

TEST(SweepTotals, TheTimeLeftHasBoundsAndIsNullWhileUnknown) {
  SweepTotals totals;
  totals.Put(MakeJob("c", "3", JobState::kQueued, 0, 0));
  EXPECT_TRUE(Told(totals)["eta_seconds"].is_null());
  EXPECT_TRUE(Told(totals)["alpha_max"].is_null());
  totals.Put(MakeJob("a replica", "1 replica=1", JobState::kSucceeded, 100, 0));  // 1 s a step
  totals.Put(MakeJob("b", "2", JobState::kRunning, 50, 0));                       // 2 s a step
  const nlohmann::json told = Told(totals);
  EXPECT_EQ(told["eta_seconds_least"], 100 + 100);
  EXPECT_EQ(told["eta_seconds"], 100 + 150);
  EXPECT_EQ(told["eta_seconds_most"], 100 + 200);
  totals.Put(MakeJob("a replica 2", "1 replica=2", JobState::kQueued, 0, 0));  // as its seed
  EXPECT_EQ(Told(totals)["eta_seconds"], 100 + 150 + 100);
}

TEST(SweepTotals, WhileTheDiskIsFullNeitherRateNorEndIsKnownUntilAllHasEnded) {
  SweepTotals totals;
  totals.Put(MakeJob("a", "1", JobState::kRunning, 50, 0));
  const nlohmann::json before = Told(totals), full = Told(totals, /*disk_full=*/true);
  for (const char* field : {"eta_seconds", "eta_seconds_least", "eta_seconds_most", "tokens_per_second"}) {
    EXPECT_FALSE(before[field].is_null()) << field;
    EXPECT_TRUE(full[field].is_null()) << field;
  }
  EXPECT_EQ(full["fraction"], 0.5);
  totals.Put(MakeJob("a", "1", JobState::kFailed, 50, 0));
  EXPECT_EQ(Told(totals, /*disk_full=*/true)["eta_seconds"], 0);
}

}  // namespace
}  // namespace sink::web
