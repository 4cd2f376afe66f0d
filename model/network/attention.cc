#include "model/network/attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>
#include <utility>
#include <vector>

#include "model/backend/backend.h"
#include "model/backend/reference_attention.h"

namespace sink {
namespace {

using kernels::Normalizer;
using kernels::Similarity;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// No device has a kernel for scores with a soft cap.
const Kernels& KernelsOf(const at::Tensor& x, const AttentionRule& rule) {
  static constexpr Kernels kNone{};
  return rule.soft_cap == 0 ? KernelsFor(x) : kNone;
}

bool HasKernel(const Kernels& kernels, const AttentionShape& shape, const AttentionRule& rule,
               const AttentionTerms& terms) {
  return kernels.attention && (!kernels.takes_attention || kernels.takes_attention(shape, rule, terms));
}

// Whether a row's weights over their sum are its probabilities, and nothing has divided the weights before.
bool HasKeySums(const kernels::WeightRule& rule) {
  switch (rule.similarity) {
    case Similarity::kSoftmax:
      return true;
    case Similarity::kSigmoid:
    case Similarity::kEluPlusOne:
      return rule.normalizer == Normalizer::kNone;
    case Similarity::kIdentity:  // probabilities are made of absolute values
    case Similarity::kSoftpick:  // weights do not sum to 1, and their sum is not kept
      break;
  }
  return false;
}

struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  using Optional = std::optional<at::Tensor>;

  // autograd takes optional inputs, but no undefined ones.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const Optional& bias,
                            const Optional& column_key, const Optional& column_value, const Optional& column_logit,
                            const AttentionShape& shape, const AttentionRule& rule, bool has_kernel) {
    const AttentionTerms terms{bias.value_or(at::Tensor()), column_key.value_or(at::Tensor()),
                               column_value.value_or(at::Tensor()), column_logit.value_or(at::Tensor())};
    const auto attention = has_kernel ? KernelsFor(qkv).attention : reference::Attention;
    const AttentionOutput out = attention(qkv, shape, rule, terms);
    ctx->save_for_backward({qkv, terms.offset_bias_HS, terms.column_key_HD, terms.column_value_HD, terms.column_logit_H,
                            out.output_NC, out.log_sum_BHT, out.weights});
    ctx->saved_data["shape"] =
        std::vector<int64_t>{shape.batch, shape.length, shape.heads, shape.key_value_heads, shape.head_dim};
    ctx->saved_data["rule"] =
        std::vector<int64_t>{static_cast<int64_t>(rule.weights.similarity),
                             static_cast<int64_t>(rule.weights.normalizer), rule.prefix, rule.window};
    ctx->saved_data["soft_cap"] = rule.soft_cap;
    ctx->saved_data["has_kernel"] = has_kernel;
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
    const AttentionTerms terms{saved[1], saved[2], saved[3], saved[4]};
    const auto backward =
        ctx->saved_data["has_kernel"].toBool() ? KernelsFor(saved[0]).attention_backward : reference::AttentionBackward;
    const AttentionGradients g =
        backward(gradients[0].contiguous(), saved[0], {saved[5], saved[6], saved[7]}, shape, rule, terms);
    return {g.qkv_NW,
            g.terms.offset_bias_HS,
            g.terms.column_key_HD,
            g.terms.column_value_HD,
            g.terms.column_logit_H,
            {},
            {},
            {}};  // nothing for shape, rule and whether there is a kernel
  }
};

}  // namespace

at::Tensor Attention(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                     const AttentionTerms& terms) {
  const bool has_kernel = HasKernel(KernelsOf(qkv_NW, rule), shape, rule, terms);
  if (!has_kernel && reference::IsPlain(rule, terms)) return reference::PlainAttention(qkv_NW, shape);
  const auto optional = [](const at::Tensor& x) { return x.defined() ? std::optional(x) : std::nullopt; };
  return AttentionFunction::apply(qkv_NW, optional(terms.offset_bias_HS), optional(terms.column_key_HD),
                                  optional(terms.column_value_HD), optional(terms.column_logit_H), shape, rule,
                                  has_kernel);
}

ObservedAttention ObserveAttention(const at::Tensor& qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                                   const AttentionTerms& terms) {
  return ObserveAttention(KernelsOf(qkv_NW, rule), qkv_NW, shape, rule, terms);
}

ObservedAttention ObserveAttention(const Kernels& kernels, const at::Tensor& qkv_NW, const AttentionShape& shape,
                                   const AttentionRule& rule, const AttentionTerms& terms) {
  const at::NoGradGuard no_gradients;
  if (!kernels.attention_sums || !HasKernel(kernels, shape, rule, terms) || !HasKeySums(rule.weights))
    return {Attention(qkv_NW, shape, rule, terms), nullptr};
  const AttentionOutput out = kernels.attention(qkv_NW, shape, rule, terms);
  AttentionRule normalized = rule;
  normalized.weights.normalizer = Normalizer::kSum;
  return {out.output_NC, [&kernels, qkv_NW, out, shape, normalized, terms] {
            const at::NoGradGuard no_gradients;
            const AttentionSums sums = kernels.attention_sums(qkv_NW, out, shape, normalized, terms);
            return sums.column_BH.defined() ? at::cat({sums.column_BH.unsqueeze(2), sums.keys_BHT}, 2) : sums.keys_BHT;
          }};
}

at::Tensor AttentionWeights(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD, const AttentionRule& rule,
                            const AttentionTerms& terms, int64_t first, int64_t rows) {
  const at::NoGradGuard no_gradients;
  const auto kernel = KernelsOf(query_BHTD, rule).attention_weights;
  return (kernel ? kernel : reference::AttentionWeights)(query_BHTD, key_BKTD, rule, terms, first, rows);
}

}  // namespace sink
