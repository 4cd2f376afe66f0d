// Attention in ATen's operations, a block of queries at a time, for any device and type; on float tensors of a CPU the
// strips of attention_cpu.h instead, which the tests compare with it.
#include "model/network/attention.h"

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
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "model/network/attention_cpu.h"

namespace sink {
namespace {

using kernels::Normalizer;
using kernels::Similarity;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

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

at::Tensor Blocks(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                  const AttentionTerms& terms) {
  std::vector<at::Tensor> blocks;
  ForBlocks(shape, [&](int64_t first, int64_t rows) {
    blocks.push_back(BlockOutput(qkv_NW, shape, rule, terms, first, rows));
  });
  return at::cat(blocks, 2).transpose(1, 2).reshape({qkv_NW.size(0), shape.heads * shape.head_dim});
}

// Inputs of one call as autograd counts them: the merged rows, then the terms; undefined ones stay undefined.
variable_list Pack(const at::Tensor& qkv, const AttentionTerms& terms) {
  return {qkv, terms.offset_bias_HS, terms.column_key_HD, terms.column_value_HD, terms.column_logit_H};
}
AttentionTerms TermsOf(const variable_list& packed) { return {packed[1], packed[2], packed[3], packed[4]}; }

// Gradients of the packed inputs, block by block: each block's scores are computed anew, differentiated, forgotten.
variable_list BlocksBackward(const at::Tensor& gradient_NC, const variable_list& packed, const AttentionShape& shape,
                             const AttentionRule& rule) {
  const at::Tensor gradient_BHTD =
      gradient_NC.view({shape.batch, shape.length, shape.heads, shape.head_dim}).transpose(1, 2);
  variable_list leaves, defined, sums;
  for (const at::Tensor& x : packed) {
    leaves.push_back(x.defined() ? x.detach().requires_grad_(true) : at::Tensor());
    sums.push_back(x.defined() ? at::zeros_like(x) : at::Tensor());
    if (x.defined()) defined.push_back(leaves.back());
  }
  ForBlocks(shape, [&](int64_t first, int64_t rows) {
    const at::AutoGradMode enable(true);
    const at::Tensor out = BlockOutput(leaves[0], shape, rule, TermsOf(leaves), first, rows);
    const variable_list gradients = torch::autograd::grad({out}, defined, {gradient_BHTD.narrow(2, first, rows)},
                                                          std::nullopt, false, /*allow_unused=*/true);
    const at::NoGradGuard no_gradients;
    size_t next = 0;
    for (at::Tensor& sum : sums)
      if (sum.defined())
        if (const at::Tensor& part = gradients[next++]; part.defined()) sum.add_(part);
  });
  return sums;
}

struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  using Optional = std::optional<at::Tensor>;

  // autograd takes optional inputs, but no undefined ones.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const Optional& bias,
                            const Optional& column_key, const Optional& column_value, const Optional& column_logit,
                            const AttentionShape& shape, const AttentionRule& rule, bool fused) {
    const AttentionTerms terms{bias.value_or(at::Tensor()), column_key.value_or(at::Tensor()),
                               column_value.value_or(at::Tensor()), column_logit.value_or(at::Tensor())};
    AttentionOutput out;
    if (fused)
      out = AttentionForwardCpu(qkv, shape, rule, terms);
    else
      out.output_NC = Blocks(qkv, shape, rule, terms);
    variable_list saved = Pack(qkv, terms);
    saved.push_back(out.output_NC);
    saved.push_back(out.log_sum_BHT);
    ctx->save_for_backward(std::move(saved));
    ctx->saved_data["shape"] =
        std::vector<int64_t>{shape.batch, shape.length, shape.heads, shape.key_value_heads, shape.head_dim};
    ctx->saved_data["rule"] =
        std::vector<int64_t>{static_cast<int64_t>(rule.weights.similarity),
                             static_cast<int64_t>(rule.weights.normalizer), rule.prefix, rule.window, fused};
    ctx->saved_data["soft_cap"] = rule.soft_cap;
    return out.output_NC;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const auto s = ctx->saved_data["shape"].toIntVector(), r = ctx->saved_data["rule"].toIntVector();
    const AttentionShape shape{s[0], s[1], s[2], s[3], s[4]};
    const AttentionRule rule{{static_cast<Similarity>(r[0]), static_cast<Normalizer>(r[1])},
                             r[2],
                             r[3],
                             ctx->saved_data["soft_cap"].toDouble()};
    const at::Tensor gradient = gradients[0].contiguous();
    variable_list out;
    if (r[4]) {
      const AttentionGradients g =
          AttentionBackwardCpu(gradient, saved[0], {saved[5], saved[6]}, shape, rule, TermsOf(saved));
      out = Pack(g.qkv_NW, g.terms);
    } else {
      out = BlocksBackward(gradient, {saved.begin(), saved.begin() + 5}, shape, rule);
    }
    out.resize(8);  // nothing for shape, rule and fused
    return out;
  }
};

bool IsPlain(const AttentionRule& rule, const AttentionTerms& terms) {
  return rule.weights.similarity == Similarity::kSoftmax && rule.prefix == 0 && rule.window == 0 &&
         rule.soft_cap == 0 && !terms.offset_bias_HS.defined() && !terms.HasColumn();
}

}  // namespace

at::Tensor AttentionMask(const AttentionRule& rule, int64_t length, int64_t first, int64_t rows, at::Device device) {
  const auto options = at::TensorOptions().dtype(at::kLong).device(device);
  const at::Tensor key = at::arange(length, options);
  const at::Tensor query = at::arange(first, first + rows, options).unsqueeze(1);
  at::Tensor seen = key.le(query);
  if (rule.window > 0) seen = seen.logical_and(key.gt(query - rule.window));
  return rule.prefix > 0 ? seen.logical_or(key.lt(rule.prefix)) : seen;
}

QueryKeyValue Split(const at::Tensor& qkv_NW, const AttentionShape& shape) {
  const auto part = [&](int64_t first_head, int64_t heads) {
    return qkv_NW.narrow(1, first_head * shape.head_dim, heads * shape.head_dim)
        .view({shape.batch, shape.length, heads, shape.head_dim})
        .transpose(1, 2);
  };
  const int64_t h = shape.heads, k = shape.key_value_heads;
  return {part(0, h), part(h, k), part(h + k, k)};
}

at::Tensor Attention(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                     const AttentionTerms& terms) {
  const bool fused = qkv_NW.is_cpu() && qkv_NW.scalar_type() == at::kFloat && rule.soft_cap == 0;
  if (!fused && IsPlain(rule, terms)) {  // ATen's own fused attention, where the device has one
    const QueryKeyValue x = Split(qkv_NW, shape);
    return at::scaled_dot_product_attention(x.query, Repeat(x.key, shape.heads), Repeat(x.value, shape.heads), {}, 0.0,
                                            true)
        .transpose(1, 2)
        .reshape({shape.batch * shape.length, shape.heads * shape.head_dim});
  }
  const auto optional = [](const at::Tensor& x) { return x.defined() ? std::optional(x) : std::nullopt; };
  return AttentionFunction::apply(qkv_NW, optional(terms.offset_bias_HS), optional(terms.column_key_HD),
                                  optional(terms.column_value_HD), optional(terms.column_logit_H), shape, rule, fused);
}

at::Tensor AttentionWeights(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD, const AttentionRule& rule,
                            const AttentionTerms& terms, int64_t first, int64_t rows) {
  const at::NoGradGuard no_gradients;
  if (query_BHTD.is_cpu() && query_BHTD.scalar_type() == at::kFloat && query_BHTD.stride(3) == 1 &&
      key_BKTD.stride(3) == 1 && rule.soft_cap == 0)
    return AttentionWeightsCpu(query_BHTD, key_BKTD, rule, terms, first, rows);
  const Weights weights = BlockWeights(query_BHTD, Repeat(key_BKTD, query_BHTD.size(1)), rule, terms, first, rows);
  const at::Tensor all = weights.column.defined() ? at::cat({weights.column, weights.keys}, -1) : weights.keys;
  return all.to(at::kFloat);
}

}  // namespace sink
