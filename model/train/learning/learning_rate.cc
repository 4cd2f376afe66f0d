#include "model/train/learning/learning_rate.h"

#include <cmath>
#include <numbers>

namespace sink::train {

int64_t AccumulationSteps(const TrainConfig& config) {
  return config.micro_batch_size > 0 ? config.global_batch_size / config.micro_batch_size : 1;
}

double LearningRate(const TrainConfig& config, int64_t step) {
  const int64_t micro = AccumulationSteps(config);
  const double it = static_cast<double>(micro * (step + 1) - 1);
  const double warmup = static_cast<double>(micro * config.warmup_steps);
  const double end = static_cast<double>(micro * config.max_steps);
  if (it < warmup) return config.learning_rate * it / warmup;
  if (!config.min_learning_rate) return config.learning_rate;
  const double progress = (it - warmup) / (end - warmup);
  const double min = *config.min_learning_rate;
  return min + 0.5 * (1 + std::cos(std::numbers::pi * progress)) * (config.learning_rate - min);
}

}  // namespace sink::train
