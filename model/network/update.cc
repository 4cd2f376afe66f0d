// The optimizer's arithmetic over whole buffers.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <vector>

#include "model/network/operations.h"

namespace sink {
namespace {

constexpr int64_t kBlock = 1 << 15;

bool Fused(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

}  // namespace

void AdamWUpdate(const kernels::AdamWStep& step, const at::Tensor& gradient, const at::Tensor& value,
                 const at::Tensor& first_moment, const at::Tensor& second_moment) {
  const at::NoGradGuard no_gradients;
  if (Fused(value)) {
    const float* g = gradient.const_data_ptr<float>();
    float *x = value.mutable_data_ptr<float>(), *m = first_moment.mutable_data_ptr<float>(),
          *v = second_moment.mutable_data_ptr<float>();
    at::parallel_for(0, value.numel(), kBlock, [&](int64_t first, int64_t last) {
      kernels::AdamW(step, last - first, g + first, x + first, m + first, v + first);
    });
    return;
  }
  const at::Tensor g = gradient * step.gradient_scale;
  const auto power = static_cast<double>(step.step);
  const double correction1 = 1 - std::pow(step.beta1, power), correction2 = 1 - std::pow(step.beta2, power);
  first_moment.mul_(step.beta1).add_(g, 1 - step.beta1);
  second_moment.mul_(step.beta2).addcmul_(g, g, 1 - step.beta2);
  const at::Tensor denominator = (second_moment / correction2).sqrt_().add_(step.epsilon);
  value.mul_(1 - step.learning_rate * step.weight_decay);
  value.addcdiv_(first_moment, denominator, -step.learning_rate / correction1);
}

double Norm(const at::Tensor& x) {
  if (!Fused(x)) return x.norm().to(at::kDouble).item<double>();
  const int64_t count = x.numel(), blocks = (count + kBlock - 1) / kBlock;
  const float* data = x.const_data_ptr<float>();
  std::vector<double> sums(static_cast<size_t>(blocks));
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block)
      sums[static_cast<size_t>(block)] =
          kernels::SumOfSquares(data + block * kBlock, std::min(kBlock, count - block * kBlock));
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

}  // namespace sink
