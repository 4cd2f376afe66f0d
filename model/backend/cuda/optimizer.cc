// The optimizer's arithmetic over whole buffers, always in float.
#include <ATen/ops/empty.h>

#include "kernels/cuda/adamw.h"
#include "model/backend/cuda/entries.h"
#include "model/backend/cuda/queue.h"

namespace sink::cuda {

void AdamW(const kernels::AdamWStep& step, const AdamWBuffers& b, const at::Tensor& gradient_scale) {
  const Queue queue(b.value);
  kernels::cuda::AdamW(queue.stream(), step, b.value.numel(), In<float>(b.gradient), In<float>(gradient_scale),
                       Out<float>(b.value), Out<float>(b.first_moment), Out<float>(b.second_moment),
                       Out<kernels::cuda::Bfloat16>(b.copy));
}

Clipping Clip(const at::Tensor& gradient, double max_norm) {
  const Queue queue(gradient);
  const auto doubles = gradient.options().dtype(at::kDouble);
  const at::Tensor sums = at::empty({kernels::cuda::kSumOfSquaresWorkspace + 1}, doubles);
  const Clipping clipping{at::empty({}, doubles), at::empty({}, gradient.options())};
  auto* sum = Out<double>(sums);
  kernels::cuda::SumOfSquares(queue.stream(), In<float>(gradient), gradient.numel(), sum + 1, sum);
  kernels::cuda::ClippingScale(queue.stream(), sum, max_norm, Out<double>(clipping.norm), Out<float>(clipping.scale));
  return clipping;
}

}  // namespace sink::cuda
