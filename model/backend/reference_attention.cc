#include "model/backend/reference_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "model/backend/backend.h"

namespace sink::reference {
namespace {

using kernels::Normalizer;
using kernels::Similarity;
using Tensors = std::vector<at::Tensor>;

constexpr int64_t kMaxScores = 1 << 22;  // of one block of queries
constexpr double kSumEpsilon = 1e-8, kSoftpickEpsilon = 1e-6;

// Key/value heads repeated so that there is one for each query head, [B, H, T, D].
at::Tensor Repeat(const at::Tensor& x_BKTD, int64_t heads) {
  const int64_t groups = heads / x_BKTD.size(1);
  if (groups == 1) return x_BKTD;
  const auto s = x_BKTD.sizes();
  return x_BKTD.unsqueeze(2).expand({s[0], s[1], groups, s[2], s[3]}).reshape({s[0], heads, s[2], s[3]});
}

// The weights of a block of queries: of the keys, [B, H, rows, T], and of the column, [B, H, rows, 1], where there is
// one. The formulas of kernels/attention_weights.h.
struct Weights {
  at::Tensor keys, column;
};

Weights Softmax(const at::Tensor& scores, const at::Tensor& seen, const at::Tensor& column) {
  const at::Tensor hidden = scores.masked_fill(seen.logical_not(), -std::numeric_limits<double>::infinity());
  at::Tensor log_sum = at::logsumexp(hidden, {-1}, /*keepdim=*/true);
  if (!column.defined()) return {(hidden - log_sum).exp(), {}};
  log_sum = at::logaddexp(log_sum, column);
  return {(hidden - log_sum).exp(), (column - log_sum).exp()};
}

at::Tensor Softpick(const at::Tensor& scores, const at::Tensor& seen) {
  const at::Tensor largest =
      scores.masked_fill(seen.logical_not(), -std::numeric_limits<double>::infinity()).amax(-1, true);
  const at::Tensor x = ((scores - largest).exp() - (-largest).exp()) * seen;
  return at::relu(x) / (x.abs().sum(-1, true) + kSoftpickEpsilon);
}

at::Tensor PlainWeights(const kernels::WeightRule& rule, const at::Tensor& scores, const at::Tensor& seen) {
  at::Tensor w = scores;
  if (rule.similarity == Similarity::kSigmoid) w = at::sigmoid(scores);
  if (rule.similarity == Similarity::kEluPlusOne) w = at::elu(scores) + 1;
  w = w * seen;
  if (rule.normalizer == Normalizer::kNone) return w;
  const at::Tensor sum = w.sum(-1, /*keepdim=*/true);
  return w / (rule.normalizer == Normalizer::kSum ? sum + kSumEpsilon : sum.abs().clamp_min(1));
}

// Everything here is summed in this type and rounded once.
at::Tensor Summed(const at::Tensor& x) { return x.to(SummedType(x)); }

Weights BlockWeights(const at::Tensor& query_BHTD, const at::Tensor& key_BHTD, const AttentionRule& rule,
                     const AttentionTerms& terms, int64_t first, int64_t rows) {
  const int64_t length = key_BHTD.size(2);
  const at::Tensor query = query_BHTD.narrow(2, first, rows) / std::sqrt(static_cast<double>(query_BHTD.size(3)));
  at::Tensor scores = at::matmul(query, key_BHTD.transpose(2, 3));
  if (terms.offset_bias_HS.defined()) {
    const auto options = at::TensorOptions().dtype(at::kLong).device(scores.device());
    const at::Tensor offset =
        at::arange(length, options) - at::arange(first, first + rows, options).unsqueeze(1) + (length - 1);
    scores = scores + terms.offset_bias_HS.index_select(1, offset.flatten()).view({-1, rows, length});
  }
  if (rule.soft_cap != 0) scores = at::tanh(scores / rule.soft_cap) * rule.soft_cap;
  const at::Tensor seen = AttentionMask(rule, length, first, rows, scores.device());
  if (rule.weights.similarity == Similarity::kSoftpick) return {Softpick(scores, seen), {}};
  if (rule.weights.similarity != Similarity::kSoftmax) return {PlainWeights(rule.weights, scores, seen), {}};
  at::Tensor column;
  if (terms.column_key_HD.defined()) column = at::matmul(query, terms.column_key_HD.unsqueeze(-1));
  if (terms.column_logit_H.defined()) {
    const at::Tensor logit = terms.column_logit_H.view({-1, 1, 1});
    column = column.defined() ? column + logit : logit.expand({query.size(0), query.size(1), rows, 1});
  }
  return Softmax(scores, seen, column);
}

// The output of a block of queries, [B, H, rows, D].
at::Tensor BlockOutput(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                       const AttentionTerms& terms, int64_t first, int64_t rows) {
  const QueryKeyValue x = Split(qkv_NW, shape);
  const Weights weights = BlockWeights(x.query, Repeat(x.key, shape.heads), rule, terms, first, rows);
  const at::Tensor out = at::matmul(weights.keys, Repeat(x.value, shape.heads));
  if (!weights.column.defined() || !terms.column_value_HD.defined()) return out;
  return out + weights.column * terms.column_value_HD.unsqueeze(1);
}

int64_t BlockRows(const AttentionShape& shape) {
  return std::clamp<int64_t>(kMaxScores / (shape.batch * shape.heads * shape.length), 1, shape.length);
}

// Calls body(first, rows) for each block.
template <typename Body>
void ForBlocks(const AttentionShape& shape, const Body& body) {
  const int64_t block = BlockRows(shape);
  for (int64_t first = 0; first < shape.length; first += block) body(first, std::min(block, shape.length - first));
}

}  // namespace

AttentionOutput Attention(const at::Tensor& given_NW, const AttentionShape& shape, const AttentionRule& rule,
                          const AttentionTerms& terms) {
  const at::Tensor qkv_NW = Summed(given_NW);
  Tensors blocks;
  ForBlocks(shape, [&](int64_t first, int64_t rows) {
    blocks.push_back(BlockOutput(qkv_NW, shape, rule, terms, first, rows));
  });
  const at::Tensor output = at::cat(blocks, 2).transpose(1, 2).reshape({qkv_NW.size(0), shape.heads * shape.head_dim});
  return {output.to(given_NW.scalar_type()), {}};
}

AttentionGradients AttentionBackward(const at::Tensor& gradient_NC, const at::Tensor& qkv_NW,
                                     const AttentionOutput& forward, const AttentionShape& shape,
                                     const AttentionRule& rule, const AttentionTerms& terms) {
  const at::Tensor gradient_BHTD =
      Summed(gradient_NC).view({shape.batch, shape.length, shape.heads, shape.head_dim}).transpose(1, 2);
  Tensors leaves, defined, sums;
  for (const at::Tensor& x :
       {Summed(qkv_NW), terms.offset_bias_HS, terms.column_key_HD, terms.column_value_HD, terms.column_logit_H}) {
    leaves.push_back(x.defined() ? x.detach().requires_grad_(true) : at::Tensor());
    sums.push_back(x.defined() ? at::zeros_like(x) : at::Tensor());
    if (x.defined()) defined.push_back(leaves.back());
  }
  const AttentionTerms leaf_terms{leaves[1], leaves[2], leaves[3], leaves[4]};
  ForBlocks(shape, [&](int64_t first, int64_t rows) {
    const at::AutoGradMode enable(true);
    const at::Tensor out = BlockOutput(leaves[0], shape, rule, leaf_terms, first, rows);
    const Tensors gradients = torch::autograd::grad({out}, defined, {gradient_BHTD.narrow(2, first, rows)},
                                                    std::nullopt, false, /*allow_unused=*/true);
    const at::NoGradGuard no_gradients;
    size_t next = 0;
    for (at::Tensor& sum : sums)
      if (sum.defined())
        if (const at::Tensor& part = gradients[next++]; part.defined()) sum.add_(part);
  });
  return {sums[0].to(qkv_NW.scalar_type()), {sums[1], sums[2], sums[3], sums[4]}};
}

bool IsPlain(const AttentionRule& rule, const AttentionTerms& terms) {
  return rule.weights.similarity == Similarity::kSoftmax && rule.prefix == 0 && rule.window == 0 &&
         rule.soft_cap == 0 && !terms.offset_bias_HS.defined() && !terms.HasColumn();
}

at::Tensor PlainAttention(const at::Tensor& qkv_NW, const AttentionShape& shape) {
  const QueryKeyValue x = Split(qkv_NW, shape);
  return at::scaled_dot_product_attention(x.query, Repeat(x.key, shape.heads), Repeat(x.value, shape.heads), {}, 0.0,
                                          true)
      .transpose(1, 2)
      .reshape({shape.batch * shape.length, shape.heads * shape.head_dim});
}

at::Tensor AttentionWeights(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD, const AttentionRule& rule,
                            const AttentionTerms& terms, int64_t first, int64_t rows) {
  const Weights weights =
      BlockWeights(Summed(query_BHTD), Summed(Repeat(key_BKTD, query_BHTD.size(1))), rule, terms, first, rows);
  const at::Tensor all = weights.column.defined() ? at::cat({weights.column, weights.keys}, -1) : weights.keys;
  return all.to(at::kFloat);
}

}  // namespace sink::reference
