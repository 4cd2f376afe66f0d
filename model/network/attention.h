// Attention of one layer on the merged rows of queries, keys and values. The kinds of attention that the study compares
// are told apart here and nowhere else: the output for training, and the probabilities for measuring, which must agree.
// No T x T tensor of a layer is ever held: the output is made, and its gradient made anew, for a block of queries at a
// time. Pure functions; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/attention_weights.h"

namespace sink {

struct AttentionShape {
  int64_t batch = 0, length = 0;
  int64_t heads = 0, key_value_heads = 0, head_dim = 0;

  int64_t width() const { return (heads + 2 * key_value_heads) * head_dim; }  // of a merged row: q, then k, then v
};

// Which keys a query sees, and how scores become weights.
struct AttentionRule {
  kernels::WeightRule weights;
  int64_t prefix = 0;   // keys 0 .. p-1 are visible to every query
  int64_t window = 0;   // query i sees keys i-w+1 .. i; 0: 0 .. i
  double soft_cap = 0;  // scores s become c tanh(s / c); 0: they stay
};

// What enters the scores besides q . k / sqrt(D), and one more key, the column, that every query sees. Undefined
// tensors are left out. A column exists where column_key or column_logit does; only softmax has one.
struct AttentionTerms {
  at::Tensor offset_bias_HS;   // added to the score of query i and key j at j - i + T - 1; S = 2T - 1
  at::Tensor column_key_HD;    // its score is q . k* / sqrt(D), k* as it is (RoPE does not turn it)
  at::Tensor column_value_HD;  // its value; 0 where undefined
  at::Tensor column_logit_H;   // added to its score

  bool HasColumn() const { return column_key_HD.defined() || column_logit_H.defined(); }
};

// Views of the merged rows, [B, H, T, D] (keys and values: [B, K, T, D]); nothing is copied.
struct QueryKeyValue {
  at::Tensor query, key, value;
};
QueryKeyValue Split(const at::Tensor& qkv_NW, const AttentionShape& shape);

// Whether query first + r sees key k of `length`: [rows, length], boolean.
at::Tensor AttentionMask(const AttentionRule& rule, int64_t length, int64_t first, int64_t rows, at::Device device);

// Weights times values, [N, H * D], scores divided by sqrt(D) throughout. Head h reads key/value head h / (H / K).
// Differentiable in the merged rows and in every term.
at::Tensor Attention(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                     const AttentionTerms& terms);

// The weights of queries first .. first+rows-1 of every head, [B, H, rows, T], or [B, H, rows, 1 + T] with the column
// first, in float. Without gradients.
at::Tensor AttentionWeights(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD, const AttentionRule& rule,
                            const AttentionTerms& terms, int64_t first, int64_t rows);

}  // namespace sink
