// When a step counts as diverged: its loss or gradient norm is not finite, or, with train.loss_spike_factor f > 0 and
// after warm-up, its loss is above f times the running mean of the losses of the steps before. The mean is exponential
// with decay 0.99: about the last hundred steps, long enough that one odd batch hardly moves it, short enough to follow
// a loss that falls. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "proto/config/job_config.h"

namespace sink::train {

// The running sum s <- 0.99 s + 0.01 loss, from 0, after one more step. Divided by its weight, 1 - 0.99^steps, it is
// the running mean.
double AddLoss(double running_loss, double loss);

// The largest loss that is no divergence in the step after `steps` of them: infinity while spikes are not looked for.
double LossLimit(const TrainConfig& config, int64_t steps, double running_loss);

// For people: "step 12: the loss 9.3 is above ...". `steps` and `limit` as in LossLimit.
std::string DescribeDivergence(const TrainConfig& config, int64_t steps, double limit, double loss,
                               double gradient_norm);

}  // namespace sink::train
