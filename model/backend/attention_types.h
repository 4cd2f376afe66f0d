// What a layer's attention computes, as values that every implementation takes: the shape of the merged rows, which
// keys a query sees and how scores become weights, and what else enters the scores. Plain types and pure functions; any
// thread.
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

struct AttentionOutput {
  at::Tensor output_NC;    // [N, H * D]
  at::Tensor log_sum_BHT;  // log of softmax's denominator, for the backward pass; of other kinds it says nothing
  at::Tensor weights;      // what else the device's backward pass reads, in its own order; undefined: nothing
};

// Gradients of the merged rows and of each term that is defined.
struct AttentionGradients {
  at::Tensor qkv_NW;
  AttentionTerms terms;
};

// Views of the merged rows, [B, H, T, D] (keys and values: [B, K, T, D]); nothing is copied.
struct QueryKeyValue {
  at::Tensor query, key, value;
};
QueryKeyValue Split(const at::Tensor& qkv_NW, const AttentionShape& shape);

// Whether query first + r sees key k of `length`: [rows, length], boolean.
at::Tensor AttentionMask(const AttentionRule& rule, int64_t length, int64_t first, int64_t rows, at::Device device);

}  // namespace sink
