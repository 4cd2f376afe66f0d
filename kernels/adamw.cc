// AdamW on a CPU. Constants are folded in double, then applied in float as PyTorch does.
#include "kernels/adamw.h"

#include <algorithm>
#include <cmath>

#include "kernels/multiversion.h"

namespace sink::kernels {
namespace {

struct Constants {
  float gradient_scale, keep, beta1, one_minus_beta1, beta2, one_minus_beta2, rate, inverse_root_correction, epsilon;
};

}  // namespace

SINK_MULTIVERSION static void Apply(const Constants& c, int64_t count, const float* __restrict gradient,
                                    float* __restrict value, float* __restrict first, float* __restrict second) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * c.gradient_scale;
    const float m = c.beta1 * first[i] + c.one_minus_beta1 * g;
    const float v = c.beta2 * second[i] + c.one_minus_beta2 * g * g;
    first[i] = m;
    second[i] = v;
    value[i] = value[i] * c.keep - c.rate * m / (std::sqrt(v) * c.inverse_root_correction + c.epsilon);
  }
}

void AdamW(const AdamWStep& step, int64_t count, const float* gradient, float* value, float* first_moment,
           float* second_moment) {
  const double correction1 = 1 - std::pow(step.beta1, static_cast<double>(step.step));
  const double correction2 = 1 - std::pow(step.beta2, static_cast<double>(step.step));
  const Constants constants{.gradient_scale = static_cast<float>(step.gradient_scale),
                            .keep = static_cast<float>(1 - step.learning_rate * step.weight_decay),
                            .beta1 = static_cast<float>(step.beta1),
                            .one_minus_beta1 = static_cast<float>(1 - step.beta1),
                            .beta2 = static_cast<float>(step.beta2),
                            .one_minus_beta2 = static_cast<float>(1 - step.beta2),
                            .rate = static_cast<float>(step.learning_rate / correction1),
                            .inverse_root_correction = static_cast<float>(1 / std::sqrt(correction2)),
                            .epsilon = static_cast<float>(step.epsilon)};
  Apply(constants, count, gradient, value, first_moment, second_moment);
}

SINK_MULTIVERSION double SumOfSquares(const float* x, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

}  // namespace sink::kernels
