// Norm and AdamW over flat buffers. Bound: memory; the norm reads 4 bytes a parameter, AdamW reads 16 and writes 12,
// and 2 more with the bf16 copy.
#include <algorithm>
#include <cmath>

#include "kernels/cuda/adamw.h"
#include "kernels/cuda/values.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kThreads = 256, kSumThreads = 512;
constexpr int kPartials = static_cast<int>(kSumOfSquaresWorkspace);  // fixed, so that sums do not depend on the device
static_assert(kPartials == kSumThreads, "one thread a partial sum");

template <int kWidth>
SINK_KERNEL(kSumThreads)
PartialSumsKernel(const float* x, int64_t count, double* partial) {
  double sum[1] = {0};
  for (int64_t i = (BlockX() * kSumThreads + Thread()) * kWidth; i < count; i += kPartials * kSumThreads * kWidth) {
    float part[kWidth];
    Load(x + i, part);
    SINK_UNROLL for (int k = 0; k < kWidth; ++k) sum[0] += static_cast<double>(part[k]) * part[k];
  }
  BlockSum(sum, SharedMemory<double>());
  if (Thread() == 0) partial[BlockX()] = sum[0];
}

SINK_KERNEL(kSumThreads) SumOfPartialsKernel(const double* partial, double* sum) {
  double x[1] = {partial[Thread()]};
  BlockSum(x, SharedMemory<double>());
  if (Thread() == 0) *sum = x[0];
}

SINK_KERNEL(32) ClippingScaleKernel(const double* sum, double max_norm, double* norm, float* scale) {
  if (Thread() != 0) return;
  const double value = sqrt(*sum);
  *norm = value;
  if (!(value < INFINITY))
    *scale = 0.0f;
  else
    *scale = max_norm > 0 && value > max_norm ? static_cast<float>(max_norm / (value + 1e-6)) : 1.0f;
}

struct Constants {
  float gradient_scale, keep, beta1, one_minus_beta1, beta2, one_minus_beta2, rate, inverse_root_correction, epsilon;
};

template <int kWidth>
SINK_KERNEL(kThreads)
AdamWKernel(Constants c, int64_t count, const float* gradient, const float* gradient_scale, float* value, float* first,
            float* second, Bfloat16* copy) {
  const int64_t i = (BlockX() * kThreads + Thread()) * kWidth;
  const float scale = gradient_scale ? *gradient_scale : 1.0f;
  if (i >= count || scale == 0.0f) return;
  float g[kWidth], x[kWidth], m[kWidth], v[kWidth];
  Load(gradient + i, g);
  Load(value + i, x);
  Load(first + i, m);
  Load(second + i, v);
  SINK_UNROLL for (int k = 0; k < kWidth; ++k) {
    g[k] *= c.gradient_scale * scale;
    m[k] = c.beta1 * m[k] + c.one_minus_beta1 * g[k];
    v[k] = c.beta2 * v[k] + c.one_minus_beta2 * g[k] * g[k];
    x[k] = x[k] * c.keep - c.rate * m[k] / (sqrtf(v[k]) * c.inverse_root_correction + c.epsilon);
  }
  Store(x, value + i);
  Store(m, first + i);
  Store(v, second + i);
  if (copy) Store(x, copy + i);
}

}  // namespace

void SumOfSquares(void* stream, const float* x, int64_t count, double* workspace, double* sum) {
  Require(count >= 0, "sum of squares: a count");
  constexpr size_t kBytes = kSumThreads / 32 * sizeof(double);
  Launch("sum of squares", IsVectorised(x, count) ? &PartialSumsKernel<4> : &PartialSumsKernel<1>, Grid{kPartials},
         kSumThreads, kBytes, stream, x, count, workspace);
  Launch("sum of squares", &SumOfPartialsKernel, Grid{}, kSumThreads, kBytes, stream, workspace, sum);
}

void ClippingScale(void* stream, const double* sum, double max_norm, double* norm, float* scale) {
  Launch("clipping scale", &ClippingScaleKernel, Grid{}, 32, 0, stream, sum, max_norm, norm, scale);
}

void AdamW(void* stream, const AdamWStep& step, int64_t count, const float* gradient, const float* gradient_scale,
           float* value, float* first_moment, float* second_moment, Bfloat16* copy) {
  Require(count >= 0 && step.step >= 1, "AdamW: a count, steps from 1");
  if (count == 0) return;
  const double correction1 = 1 - std::pow(step.beta1, static_cast<double>(step.step));
  const double correction2 = 1 - std::pow(step.beta2, static_cast<double>(step.step));
  const Constants constants{static_cast<float>(step.gradient_scale),
                            static_cast<float>(1 - step.learning_rate * step.weight_decay),
                            static_cast<float>(step.beta1),
                            static_cast<float>(1 - step.beta1),
                            static_cast<float>(step.beta2),
                            static_cast<float>(1 - step.beta2),
                            static_cast<float>(step.learning_rate / correction1),
                            static_cast<float>(1 / std::sqrt(correction2)),
                            static_cast<float>(step.epsilon)};
  const bool vectorised = IsVectorised(gradient, count) && IsVectorised(value, count) &&
                          IsVectorised(first_moment, count) && IsVectorised(second_moment, count) &&
                          reinterpret_cast<uintptr_t>(copy) % 8 == 0;
  const int64_t items = vectorised ? count / 4 : count;
  Launch("AdamW", vectorised ? &AdamWKernel<4> : &AdamWKernel<1>, Grid{CeilDivide<int64_t>(items, kThreads)}, kThreads,
         0, stream, constants, count, gradient, gradient_scale, value, first_moment, second_moment, copy);
}

}  // namespace sink::kernels::cuda
