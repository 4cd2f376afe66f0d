// Attention of one layer on the merged rows of queries, keys and values. The kinds of attention that the study compares
// are told apart here and nowhere else: the output for training, and the probabilities for measuring, which must agree.
// Pure functions; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sink {

struct AttentionShape {
  int64_t batch = 0, length = 0;
  int64_t heads = 0, key_value_heads = 0, head_dim = 0;

  int64_t width() const { return (heads + 2 * key_value_heads) * head_dim; }  // of a merged row: q, then k, then v
};

// Views of the merged rows, [B, H, T, D] (keys and values: [B, K, T, D]); nothing is copied.
struct QueryKeyValue {
  at::Tensor query, key, value;
};
QueryKeyValue Split(const at::Tensor& qkv_NW, const AttentionShape& shape);

// softmax(q k^T / sqrt(D)) v under the causal mask, [N, H * D]. Differentiable. Head h reads key/value head h / (H /
// K).
at::Tensor CausalAttention(const at::Tensor& qkv_NW, const AttentionShape& shape);

// The probabilities of queries first .. first+rows-1 of every head, [B, H, rows, T], in float. Without gradients.
at::Tensor AttentionProbabilities(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD, int64_t first,
                                  int64_t rows);

}  // namespace sink
