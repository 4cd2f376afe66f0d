// The two blocks of a layer whose every part has a kernel, each from the residual stream to the residual stream as one
// node of autograd: norm, products, what lies between them, sum. The formulas are those of operations.h and
// attention.h, of which other layers are put together; here autograd makes a node for a block and not for each, the sum
// is the last product's, and no gradient passes through a tensor of its own that the next kernel could have written.
// For devices whose table says whole_blocks (model/backend/backend.h). Pure functions; they use ATen's threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/feed_forward.h"
#include "model/network/attention_layer.h"
#include "model/network/parameter_layout.h"
#include "proto/config/job_config.h"

namespace sink {

// Whether such a model's layers have no other blocks: norms before them, and nothing of a variant between attention's
// projections but RoPE and what AttentionTerms hold.
bool HasWholeBlocks(const ModelConfig& config);

// x + Linear(Attention(Rope(Linear(RmsNorm(x))))), [B * T, C]. Differentiable in x and in every term.
at::Tensor AttentionBlock(const AttentionContext& context, const LayerParameters& weights, const at::Tensor& x_NC,
                          const at::Tensor& offset_bias, int64_t batch, int64_t length);

// x + Linear(FeedForwardUnit(Linear(RmsNorm(x)))), [B * T, C]. Differentiable in x.
at::Tensor FeedForwardBlock(const ModelConfig& config, kernels::Activation activation, const LayerParameters& weights,
                            const at::Tensor& x_NC);

}  // namespace sink
