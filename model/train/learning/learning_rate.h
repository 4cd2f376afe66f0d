// The learning-rate schedule. It counts micro-iterations, as the seed study's training code does: an optimizer step
// made of `a` micro-batches advances it by a, and uses the rate of the last of them (tests/golden/variants proves
// this). Pure functions; any thread.
#pragma once

#include <cstdint>

#include "proto/config/job_config.h"

namespace sink::train {

// Micro-batches per optimizer step, as the schedule counts them: one where their size is auto, so that it does not
// depend on a device's memory.
int64_t AccumulationSteps(const TrainConfig& config);

// Rate of optimizer step `step` (0-based: the number of steps already done).
//   it = a * (step + 1) - 1;  warm-up while it < a * warmup_steps: lr * it / (a * warmup_steps);
//   after: lr when min_learning_rate is absent, else the half cosine from lr down to it at a * max_steps.
double LearningRate(const TrainConfig& config, int64_t step);

}  // namespace sink::train
