#include "model/train/learning/divergence.h"

#include <cmath>
#include <cstdio>
#include <limits>

namespace sink::train {
namespace {

constexpr double kDecay = 0.99;

}  // namespace

double AddLoss(double running_loss, double loss) { return kDecay * running_loss + (1 - kDecay) * loss; }

double LossLimit(const TrainConfig& config, int64_t steps, double running_loss) {
  if (config.loss_spike_factor == 0 || steps == 0 || steps < config.warmup_steps)
    return std::numeric_limits<double>::infinity();
  return config.loss_spike_factor * running_loss / (1 - std::pow(kDecay, static_cast<double>(steps)));
}

std::string DescribeDivergence(const TrainConfig& config, int64_t steps, double limit, double loss,
                               double gradient_norm) {
  char text[256];
  const auto step = static_cast<long long>(steps + 1);
  if (std::isfinite(loss) && std::isfinite(gradient_norm))
    std::snprintf(text, sizeof text, "step %lld: loss spike, %.6g is above train.loss_spike_factor %g x the mean %.6g",
                  step, loss, config.loss_spike_factor, limit / config.loss_spike_factor);
  else
    std::snprintf(text, sizeof text, "step %lld: the loss is %g and the gradient norm %g", step, loss, gradient_norm);
  return text;
}

}  // namespace sink::train
