#include "model/eval/attention_blocks.h"

#include <ATen/TensorOperators.h>

#include <algorithm>

namespace sink {
namespace {

at::Tensor Probabilities(const kernels::WeightRule& rule, const at::Tensor& weights) {
  if (rule.similarity == kernels::Similarity::kSoftmax) return weights;
  const at::Tensor size = weights.abs();
  return size / (size.sum(-1, /*keepdim=*/true) + 1e-8);
}

}  // namespace

AttentionBlock AttentionBlock::From(int64_t query) const {
  const int64_t skipped = std::clamp<int64_t>(query - first, 0, rows), left = rows - skipped;
  return {first + skipped, left, weights_BHRJ.narrow(2, skipped, left), probabilities_BHRJ.narrow(2, skipped, left)};
}

void ForBlocks(const AttentionView& attention, const std::function<void(const AttentionBlock&)>& see,
               int64_t max_scores) {
  const at::Tensor& query = attention.query_BHTD;
  const int64_t length = query.size(2);
  const int64_t block = std::clamp<int64_t>(max_scores / (query.size(0) * query.size(1) * length), 1, length);
  for (int64_t first = 0; first < length; first += block) {
    const int64_t rows = std::min(block, length - first);
    const at::Tensor weights = attention.Weights(first, rows);
    see({first, rows, weights, Probabilities(attention.rule.weights, weights)});
  }
}

}  // namespace sink
