// What a job may ask of the worker's limits.
#include "worker/job_runner.h"

#include <gtest/gtest.h>

#include "proto/config/job_config.h"

namespace sink::worker {
namespace {

v1::Grant GrantOf(JobKind kind, absl::Duration stall) {
  JobConfig config;
  config.kind = kind;
  if (kind == JobKind::kEvaluate) config.evaluate.model = "gpt2";
  v1::Grant grant;
  grant.set_config_json(PrintJobConfig(config));
  grant.set_stall_ms(absl::ToInt64Milliseconds(stall));
  return grant;
}

TEST(LimitsFor, TheWorkersTimeWithoutWorkIsForTrainingsWhoseSweepSaysNone) {
  SupervisionLimits of_worker;
  of_worker.idle = absl::Hours(2);
  const absl::Duration none = absl::ZeroDuration(), never = absl::InfiniteDuration();

  SupervisionLimits limits = LimitsFor(GrantOf(JobKind::kTrain, none), of_worker);
  EXPECT_EQ(limits.stall, never);
  EXPECT_EQ(limits.idle, absl::Hours(2));

  limits = LimitsFor(GrantOf(JobKind::kTrain, absl::Hours(5)), of_worker);
  EXPECT_EQ(limits.stall, absl::Hours(5));
  EXPECT_EQ(limits.idle, never) << "the sweep allows more";

  limits = LimitsFor(GrantOf(JobKind::kEvaluate, none), of_worker);
  EXPECT_EQ(limits.stall, never);
  EXPECT_EQ(limits.idle, never) << "a large model's layers take long";
}

}  // namespace
}  // namespace sink::worker
