// The attention weights of one layer, a block of queries at a time, so that no T x T matrix of a model exists. Pure
// functions; they belong to the thread of the model that shows the view.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "model/network/attention_layer.h"

namespace sink {

// Queries first .. first+rows-1 of every head and sequence, R of them. J keys: the model's positions, after the column
// where there is one (AttentionTerms). Floats.
struct AttentionBlock {
  int64_t first = 0, rows = 0;
  at::Tensor weights_BHRJ;  // as the output is made of them
  // Softmax weights as they are. Of the others |w| / (sum of |w| + 1e-8), so that a row sums to 1, or to 0 where all
  // its weights are 0 (Gu et al., ICLR 2025).
  at::Tensor probabilities_BHRJ;

  // Without the queries before this one; all of them may go.
  AttentionBlock From(int64_t query) const;
};

inline constexpr int64_t kMaxBlockScores = 1 << 22;  // values of one block

// Calls see(block) for blocks of at most max_scores values (but of one query at least), in order.
void ForBlocks(const AttentionView& attention, const std::function<void(const AttentionBlock&)>& see,
               int64_t max_scores = kMaxBlockScores);

}  // namespace sink
