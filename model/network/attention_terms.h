// What a variant brings to a layer's attention beside the merged rows: the shape, and the biases and the column of
// AttentionTerms as a model's parameters give them. Pure functions; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/backend/attention_types.h"
#include "model/network/parameter_layout.h"
#include "proto/config/job_config.h"

namespace sink {

inline AttentionShape ShapeOf(const ModelConfig& c, int64_t batch, int64_t length) {
  return {batch, length, c.num_attention_heads, c.key_value_heads(), c.head_dim()};
}

// [H, D] of a bias that heads share or have each.
at::Tensor PerHead(const at::Tensor& bias, int64_t heads);

// `offset_bias` as it is, and the column's key, value and logit. Differentiable in those that are learned.
AttentionTerms TermsOf(const ModelConfig& config, const LayerParameters& weights, const at::Tensor& offset_bias,
                       const at::TensorOptions& options);

}  // namespace sink
