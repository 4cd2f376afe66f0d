// Attention in ATen's operations, a block of queries at a time, for any device and type: what runs where there is no
// kernel, and what the tests compare kernels with. The first two and the last have the signatures of the entries of
// Kernels (model/backend/backend.h). Pure functions; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/backend/attention_types.h"

namespace sink::reference {

AttentionOutput Attention(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                          const AttentionTerms& terms);

// Each block's scores are computed anew, differentiated, forgotten.
AttentionGradients AttentionBackward(const at::Tensor& gradient_NC, const at::Tensor& qkv_NW,
                                     const AttentionOutput& forward, const AttentionShape& shape,
                                     const AttentionRule& rule, const AttentionTerms& terms);

// Whether it is plain causal softmax, for which ATen has a fused operation on some devices.
bool IsPlain(const AttentionRule& rule, const AttentionTerms& terms);
// That operation, [N, H * D]; differentiable by autograd.
at::Tensor PlainAttention(const at::Tensor& qkv_NW, const AttentionShape& shape);

at::Tensor AttentionWeights(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD, const AttentionRule& rule,
                            const AttentionTerms& terms, int64_t first, int64_t rows);

}  // namespace sink::reference
