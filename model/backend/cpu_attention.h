// Attention on float tensors of a CPU: strips of queries against all the keys that they see, two matrix products a
// strip forward and five backward, weights in between by kernels/attention_weights.h. A strip's scores stay in cache
// and are computed anew in the backward pass, but for short sequences of narrow heads. Pure functions on ATen's
// threads; results do not depend on their number.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/backend/attention_types.h"

namespace sink {

// The entries of Kernels (model/backend/backend.h) of the same names.
AttentionOutput AttentionForwardCpu(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                                    const AttentionTerms& terms);
AttentionGradients AttentionBackwardCpu(const at::Tensor& gradient_NC, const at::Tensor& qkv_NW,
                                        const AttentionOutput& forward, const AttentionShape& shape,
                                        const AttentionRule& rule, const AttentionTerms& terms);
at::Tensor AttentionWeightsCpu(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD, const AttentionRule& rule,
                               const AttentionTerms& terms, int64_t first, int64_t rows);

}  // namespace sink
