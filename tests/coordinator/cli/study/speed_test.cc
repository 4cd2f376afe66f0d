// The fit of `sinkctl calibrate`, held to planted times.
#include "coordinator/cli/study/speed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace sink::cli {
namespace {

using ::testing::DoubleNear;

JobConfig Config(int64_t hidden, int64_t layers, int64_t steps) {
  JobConfig config;
  config.model.hidden_size = hidden;
  config.model.intermediate_size = 2 * hidden;
  config.model.num_hidden_layers = layers;
  config.model.num_attention_heads = 4;
  config.model.vocab_size = 320;
  config.train.max_steps = steps;
  config.train.global_batch_size = 4;
  config.train.micro_batch_size = 2;
  config.train.sequence_length = 64;
  config.eval.every = 50;
  config.eval.sequences = 10;
  config.eval.tokens = 32;
  config.eval.validation_sequences = 8;
  return config;
}

TEST(WorkOf, CountsTrainingAndWhatIsMeasuredBesides) {
  const Work work = WorkOf(Config(32, 2, 100));
  // By hand: 2 layers of 4 x 32^2 + 3 x 32 x 64, and the head's 320 x 32, 6 for each; attention 12 x 2 x 32 x T / 2.
  const double weights = 6.0 * (2 * (4 * 1024 + 3 * 2048) + 320 * 32), attention = 12.0 * 2 * 32 / 2;
  const double trained = 100 * 4 * 64 * (weights + attention * 64);
  const double measured = (10 * 32 * (weights + attention * 32) + 8 * 64 * (weights + attention * 64)) / 3;
  EXPECT_DOUBLE_EQ(work.flops, trained + 3 * measured);  // at steps 0, 50 and 100
  EXPECT_DOUBLE_EQ(work.passes, 2 * (100 * 4 + 3 * (10 + 8) / 3.0) / 2);
  // At steps 0, 50, 100 and 120: a run is measured when it ends, whenever that is.
  EXPECT_DOUBLE_EQ(WorkOf(Config(32, 2, 120)).flops, 1.2 * trained + 4 * measured);
}

std::vector<Timed> Planted(double start, double per_flop, double per_pass, double noise) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> off(1 - noise, 1 + noise);
  std::vector<Timed> jobs;
  for (const int64_t hidden : {32, 64, 128})
    for (const int64_t layers : {2, 6})
      for (const int64_t steps : {20, 200, 2000}) {
        const Work work = WorkOf(Config(hidden, layers, steps));
        jobs.push_back({work, off(random) * (start + per_flop * work.flops + per_pass * work.passes)});
      }
  return jobs;
}

TEST(FitSpeed, FindsThePartsThatWerePlanted) {
  const auto speed = FitSpeed(Planted(0.4, 1e-10, 2e-4, 0));
  ASSERT_TRUE(speed.ok()) << speed.status();
  EXPECT_THAT(speed->start_s, DoubleNear(0.4, 1e-6));
  EXPECT_THAT(speed->s_per_flop * 1e10, DoubleNear(1, 1e-6));
  EXPECT_THAT(speed->s_per_pass * 1e4, DoubleNear(2, 1e-6));
  EXPECT_EQ(speed->jobs, 18);
  EXPECT_LT(speed->typical_miss, 1e-6);
}

// The promise of `sinkctl plan --speed`, where jobs of one kind vary by a fifth.
TEST(FitSpeed, PredictsAnotherSweepWithinAQuarter) {
  const auto speed = FitSpeed(Planted(0.4, 1e-10, 2e-4, 0.2));
  ASSERT_TRUE(speed.ok()) << speed.status();
  for (const int64_t hidden : {48, 96, 192}) {
    const Work work = WorkOf(Config(hidden, 4, 700));
    const double truth = 0.4 + 1e-10 * work.flops + 2e-4 * work.passes;
    EXPECT_NEAR(Seconds(*speed, work) / truth, 1, 0.25) << hidden;
  }
  EXPECT_GT(speed->typical_miss, 0.05);
}

// Measured beside other work, long jobs may have taken no longer than short ones. A start of minutes would fit them
// best, and say of every job that it takes as long.
TEST(FitSpeed, NeverMakesAPartNegativeAndNeverTheStartAllOfIt) {
  std::vector<Timed> jobs;
  for (const int64_t steps : {100, 1000, 10000})
    jobs.push_back({WorkOf(Config(64, 4, steps)), 10.0 - static_cast<double>(steps) / 2000});
  const auto speed = FitSpeed(jobs);
  ASSERT_TRUE(speed.ok()) << speed.status();
  EXPECT_GE(speed->start_s, 0);
  EXPECT_GE(speed->s_per_flop, 0);
  EXPECT_GE(speed->s_per_pass, 0);
  EXPECT_GT(Seconds(*speed, WorkOf(Config(64, 4, 100000))), Seconds(*speed, WorkOf(Config(64, 4, 1000))));
  EXPECT_GT(speed->typical_miss, 0.25);
}

TEST(FitSpeed, JobsOfOneSizeTellTheProductsAlone) {
  const Work work = WorkOf(Config(64, 4, 500));
  const auto speed = FitSpeed({{work, 5}, {work, 5}, {work, 5}});
  ASSERT_TRUE(speed.ok()) << speed.status();
  EXPECT_NEAR(speed->s_per_flop * work.flops, 5, 1e-9);
  EXPECT_EQ(speed->start_s, 0);
  EXPECT_EQ(speed->s_per_pass, 0);
}

TEST(FitSpeed, WithoutAJobIsAnError) {
  EXPECT_FALSE(FitSpeed({}).ok());
  EXPECT_FALSE(FitSpeed({{WorkOf(Config(64, 4, 500)), 0}}).ok());
}

TEST(SpeedFile, IsReadAsItWasWritten) {
  const Speed speed{.start_s = 0.25, .s_per_flop = 3e-11, .s_per_pass = 1e-4, .jobs = 12, .typical_miss = 0.125};
  const auto read = ParseSpeed(PrintSpeed(speed));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->start_s, speed.start_s);
  EXPECT_EQ(read->s_per_flop, speed.s_per_flop);
  EXPECT_EQ(read->s_per_pass, speed.s_per_pass);
  EXPECT_EQ(read->jobs, speed.jobs);
  EXPECT_EQ(read->typical_miss, speed.typical_miss);
}

TEST(SpeedFile, RefusesWhatItDidNotWrite) {
  EXPECT_FALSE(ParseSpeed("").ok());
  EXPECT_FALSE(ParseSpeed("[]").ok());
  EXPECT_FALSE(ParseSpeed("{\"schema\": \"sink/speed/v1\"}").ok());
  std::string negative =
      PrintSpeed({.start_s = 0.5, .s_per_flop = 1e-11, .s_per_pass = 0, .jobs = 1, .typical_miss = 0});
  negative.replace(negative.find("0.5"), 3, "-1 ");
  EXPECT_FALSE(ParseSpeed(negative).ok());
}

TEST(Makespan, GivesEachJobToTheDeviceThatIsFreeFirst) {
  EXPECT_EQ(Makespan({}, 2), 0);
  EXPECT_EQ(Makespan({3, 4, 5}, 1), 12);
  EXPECT_EQ(Makespan({3, 4, 5}, 2), 8);
  EXPECT_EQ(Makespan({3, 4, 5}, 9), 5);
}

}  // namespace
}  // namespace sink::cli
