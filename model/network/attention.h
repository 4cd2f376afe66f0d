// Attention of one layer on the merged rows of queries, keys and values. The kinds of attention that the study compares
// are told apart in the kernels and their reference, and nowhere else: the output for training, and the probabilities
// for measuring, which must agree. No T x T tensor of a layer is ever held: the output is made, and its gradient made
// anew, for a block of queries at a time. Pure functions; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "model/backend/attention_types.h"
#include "model/backend/backend.h"

namespace sink {

// Weights times values, [N, H * D], scores divided by sqrt(D) throughout. Head h reads key/value head h / (H / K).
// Differentiable in the merged rows and in every term.
at::Tensor Attention(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                     const AttentionTerms& terms);

// Attention that an observer sees, without gradients.
struct ObservedAttention {
  at::Tensor output_NC;
  // What each key gets: the sums over the queries of a row's probabilities (eval/attention_blocks.h), [B, H, T], or
  // [B, H, 1 + T] with the column first, in float. They are made from queries, keys and log z; no weights are held.
  // Null where the device has no kernel for them or the kind no such sums: weights have to be made then.
  std::function<at::Tensor()> key_sums;
};
ObservedAttention ObserveAttention(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                                   const AttentionTerms& terms);
// The same by the kernels of a table, which must live as long as the result.
ObservedAttention ObserveAttention(const Kernels& kernels, const at::Tensor& qkv_NW, const AttentionShape& shape,
                                   const AttentionRule& rule, const AttentionTerms& terms);

// The weights of queries first .. first+rows-1 of every head, [B, H, rows, T], or [B, H, rows, 1 + T] with the column
// first, in float. Without gradients.
at::Tensor AttentionWeights(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD, const AttentionRule& rule,
                            const AttentionTerms& terms, int64_t first, int64_t rows);

}  // namespace sink
