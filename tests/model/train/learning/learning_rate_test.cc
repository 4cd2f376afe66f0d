// The learning rate at the points where a schedule can go wrong by one.
#include "model/train/learning/learning_rate.h"

#include <gtest/gtest.h>

namespace sink::train {
namespace {

TrainConfig Config() {
  TrainConfig config;
  config.learning_rate = 1e-2;
  config.min_learning_rate = 1e-3;
  config.warmup_steps = 5;
  config.max_steps = 20;
  config.global_batch_size = 8;
  config.micro_batch_size = 4;
  return config;
}

TEST(Schedule, WarmsUpOverMicroIterationsAndUsesTheLastOfAStep) {
  EXPECT_EQ(AccumulationSteps(Config()), 2);
  EXPECT_DOUBLE_EQ(LearningRate(Config(), 0), 1e-2 * 1 / 10);
  EXPECT_DOUBLE_EQ(LearningRate(Config(), 4), 1e-2 * 9 / 10);
}

TEST(Schedule, DecaysAlongAHalfCosine) {
  TrainConfig config = Config();
  EXPECT_LT(LearningRate(config, 5), 1e-2);  // micro-iteration 11 of 10..40
  EXPECT_GT(LearningRate(config, 5), 9.9e-3);
  config.micro_batch_size = 8;
  EXPECT_DOUBLE_EQ(LearningRate(config, 5), 1e-2 + 0 * 1e-3);      // the cosine starts where warm-up ends
  EXPECT_NEAR(LearningRate(config, 12), (1e-2 + 1e-3) / 2, 5e-4);  // about half way
  EXPECT_GT(LearningRate(config, 19), 1e-3);                       // the end itself is never used
  EXPECT_NEAR(LearningRate(config, 20), 1e-3, 1e-12);
}

TEST(Schedule, IsConstantAfterWarmupWithoutAMinimum) {
  TrainConfig config = Config();
  config.min_learning_rate.reset();
  EXPECT_DOUBLE_EQ(LearningRate(config, 5), 1e-2);
  EXPECT_DOUBLE_EQ(LearningRate(config, 19), 1e-2);
}

TEST(Schedule, WithoutWarmupTheFirstStepHasTheFullRate) {
  TrainConfig config = Config();
  config.min_learning_rate.reset();
  config.warmup_steps = 0;
  EXPECT_DOUBLE_EQ(LearningRate(config, 0), 1e-2);
}

}  // namespace
}  // namespace sink::train
