// Causal softmax attention. The fused path calls ATen's blocked CPU attention (scores of one block at a time, forward
// and backward) directly, so that its gradients are written into one merged row instead of through three views.
#include "model/attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <limits>
#include <tuple>

namespace sink {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Key/value heads repeated so that there is one for each query head, [B, H, T, D].
at::Tensor Repeat(const at::Tensor& x_BKTD, int64_t heads) {
  const int64_t groups = heads / x_BKTD.size(1);
  if (groups == 1) return x_BKTD;
  const auto s = x_BKTD.sizes();
  return x_BKTD.unsqueeze(2).expand({s[0], s[1], groups, s[2], s[3]}).reshape({s[0], heads, s[2], s[3]});
}

// The adjoint of Repeat: gradients of the heads that share a key/value head are added.
at::Tensor SumGroups(const at::Tensor& gradient_BHTD, int64_t key_value_heads) {
  if (gradient_BHTD.size(1) == key_value_heads) return gradient_BHTD;
  const auto s = gradient_BHTD.sizes();
  return gradient_BHTD.reshape({s[0], key_value_heads, s[1] / key_value_heads, s[2], s[3]}).sum(2);
}

struct CausalAttentionFunction : torch::autograd::Function<CausalAttentionFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv_NW, const AttentionShape& shape) {
    const QueryKeyValue x = Split(qkv_NW, shape);
    const auto [out_BHTD, logsumexp] = at::_scaled_dot_product_flash_attention_for_cpu(
        x.query, Repeat(x.key, shape.heads), Repeat(x.value, shape.heads), 0.0, true);
    ctx->save_for_backward({qkv_NW, out_BHTD, logsumexp});
    ctx->saved_data["shape"] =
        std::vector<int64_t>{shape.batch, shape.length, shape.heads, shape.key_value_heads, shape.head_dim};
    return out_BHTD.transpose(1, 2).reshape({shape.batch * shape.length, shape.heads * shape.head_dim});
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const auto s = ctx->saved_data["shape"].toIntVector();
    const AttentionShape shape{s[0], s[1], s[2], s[3], s[4]};
    const QueryKeyValue x = Split(saved[0], shape);
    const at::Tensor gradient_BHTD =
        gradients[0].view({shape.batch, shape.length, shape.heads, shape.head_dim}).transpose(1, 2);
    const auto [query, key, value] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
        gradient_BHTD, x.query, Repeat(x.key, shape.heads), Repeat(x.value, shape.heads), saved[1], saved[2], 0.0,
        true);
    const at::Tensor merged = at::empty_like(saved[0]);
    const QueryKeyValue out = Split(merged, shape);
    out.query.copy_(query);
    out.key.copy_(SumGroups(key, shape.key_value_heads));
    out.value.copy_(SumGroups(value, shape.key_value_heads));
    return {merged, at::Tensor()};
  }
};

}  // namespace

QueryKeyValue Split(const at::Tensor& qkv_NW, const AttentionShape& shape) {
  const auto part = [&](int64_t first_head, int64_t heads) {
    return qkv_NW.narrow(1, first_head * shape.head_dim, heads * shape.head_dim)
        .view({shape.batch, shape.length, heads, shape.head_dim})
        .transpose(1, 2);
  };
  const int64_t h = shape.heads, k = shape.key_value_heads;
  return {part(0, h), part(h, k), part(h + k, k)};
}

at::Tensor CausalAttention(const at::Tensor& qkv_NW, const AttentionShape& shape) {
  if (qkv_NW.is_cpu() && qkv_NW.scalar_type() == at::kFloat) return CausalAttentionFunction::apply(qkv_NW, shape);
  const QueryKeyValue x = Split(qkv_NW, shape);
  return at::scaled_dot_product_attention(x.query, Repeat(x.key, shape.heads), Repeat(x.value, shape.heads), {}, 0.0,
                                          true)
      .transpose(1, 2)
      .reshape({shape.batch * shape.length, shape.heads * shape.head_dim});
}

at::Tensor AttentionProbabilities(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD, int64_t first,
                                  int64_t rows) {
  const at::NoGradGuard no_gradients;
  const int64_t heads = query_BHTD.size(1), length = key_BKTD.size(2);
  const double scale = 1.0 / std::sqrt(static_cast<double>(query_BHTD.size(3)));
  at::Tensor scores = at::matmul(query_BHTD.narrow(2, first, rows).mul(scale),
                                 Repeat(key_BKTD, heads).transpose(2, 3));  // [B, H, rows, T]
  const at::Tensor key = at::arange(length, scores.options().dtype(at::kLong));
  const at::Tensor query = at::arange(first, first + rows, scores.options().dtype(at::kLong)).unsqueeze(1);
  scores.masked_fill_(key.gt(query), -std::numeric_limits<float>::infinity());
  return at::softmax(scores, -1, at::kFloat);
}

}  // namespace sink
