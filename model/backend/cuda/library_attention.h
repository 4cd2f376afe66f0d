// Attention as a library of NVIDIA's has it, where this build has one: plain causal softmax, or the last `window` keys,
// in bf16. It may refuse a shape or a device, and then has done nothing. What it leaves is what our own kernels leave
// (kernels/cuda/attention.h), so that either may go on where the other began. Any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "kernels/cuda/attention.h"

namespace sink::cuda {

struct LibraryAttention {
  std::string name;  // with its version
  bool (*forward)(const at::Tensor& qkv_NW, const kernels::cuda::AttentionShape& shape, int64_t window,
                  const at::Tensor& output_NC, const at::Tensor& log_sum_BHT);
  // output and log_sum need not be its own: weights are exp(score - log_sum), a row's dot is that of output.
  bool (*backward)(const at::Tensor& gradient_NC, const at::Tensor& qkv_NW, const at::Tensor& output_NC,
                   const at::Tensor& log_sum_BHT, const kernels::cuda::AttentionShape& shape, int64_t window,
                   const at::Tensor& dqkv_NW);
};

// Null where this build has none.
const LibraryAttention* FindLibraryAttention();

}  // namespace sink::cuda
