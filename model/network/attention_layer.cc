#include "model/network/attention_layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/full.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "model/network/operations.h"
#include "model/network/position.h"

namespace sink {
namespace {

using kernels::Normalizer;
using kernels::Similarity;

AttentionRule RuleOf(const VariantConfig& v) {
  AttentionRule rule{.prefix = v.prefix_length, .window = v.window};
  if (v.sink_token && rule.prefix > 0) ++rule.prefix;  // the token comes before the text's prefix
  if (v.similarity == "sigmoid") rule.weights.similarity = Similarity::kSigmoid;
  if (v.similarity == "elu_plus_one") rule.weights.similarity = Similarity::kEluPlusOne;
  if (v.similarity == "softpick") rule.weights.similarity = Similarity::kSoftpick;
  if (v.similarity == "identity") {
    rule.weights.similarity = Similarity::kIdentity;
    // Products of elu + 1 are positive; others may sum to anything.
    if (v.feature_map != "elu_plus_one") rule.weights.normalizer = Normalizer::kSumOrOne;
  }
  if (!v.normalize) rule.weights.normalizer = Normalizer::kNone;
  return rule;
}

// [H, D] of a bias that heads share or have each.
at::Tensor PerHead(const at::Tensor& bias, int64_t heads) {
  return bias.defined() && bias.dim() == 1 ? bias.expand({heads, -1}).contiguous() : bias;
}

// The value of the column where it is fixed (Gu et al., table 5): scale e_1, or scale / sqrt(D) everywhere.
at::Tensor FixedValue(const ModelConfig& c, const at::TensorOptions& options) {
  const VariantConfig& v = c.variant;
  if (v.value_bias == "uniform")
    return at::full({c.num_attention_heads, c.head_dim()},
                    v.value_bias_scale / std::sqrt(static_cast<double>(c.head_dim())), options);
  at::Tensor value = at::zeros({c.num_attention_heads, c.head_dim()}, options);
  value.select(1, 0).fill_(v.value_bias_scale);
  return value;
}

AttentionTerms TermsOf(const ModelConfig& c, const LayerParameters& weights, const at::Tensor& offset_bias,
                       const at::TensorOptions& options) {
  const VariantConfig& v = c.variant;
  AttentionTerms terms{.offset_bias_HS = offset_bias};
  terms.column_key_HD = PerHead(Value(weights.key_bias), c.num_attention_heads);
  if (v.sink_logit == "learned") terms.column_logit_H = Value(weights.sink_logit);
  if (v.sink_logit == "zero") terms.column_logit_H = at::zeros({c.num_attention_heads}, options);
  if (!terms.HasColumn()) return terms;
  if (v.value_bias == "unit" || v.value_bias == "uniform") terms.column_value_HD = FixedValue(c, options);
  if (weights.value_bias.defined()) terms.column_value_HD = PerHead(Value(weights.value_bias), c.num_attention_heads);
  return terms;
}

// The query, key and value parts of merged rows as [N * heads, D] each.
struct Parts {
  at::Tensor query, key, value;
};
Parts Cut(const at::Tensor& qkv_NW, const AttentionShape& s) {
  const int64_t query = s.heads * s.head_dim, key = s.key_value_heads * s.head_dim;
  return {qkv_NW.narrow(1, 0, query).reshape({-1, s.head_dim}), qkv_NW.narrow(1, query, key).reshape({-1, s.head_dim}),
          qkv_NW.narrow(1, query + key, key)};
}
at::Tensor Join(const Parts& parts, int64_t rows) {
  return at::cat({parts.query.reshape({rows, -1}), parts.key.reshape({rows, -1}), parts.value}, 1);
}

at::Tensor FeatureMap(const VariantConfig& v, const LayerParameters& weights, const at::Tensor& x) {
  if (v.feature_map == "elu_plus_one") return at::elu(x) + 1;
  return Linear(at::relu(Linear(x, weights.feature_map_0)), weights.feature_map_1);
}

at::Tensor QueriesKeysValues(const AttentionContext& context, const LayerParameters& weights, const at::Tensor& x_NC,
                             const AttentionShape& shape) {
  const ModelConfig& c = context.config();
  at::Tensor qkv = Linear(x_NC, weights.qkv);
  if (c.variant.qk_norm) {
    Parts parts = Cut(qkv, shape);
    parts.query = RmsNorm(parts.query, weights.query_norm, c.rms_norm_eps);
    parts.key = RmsNorm(parts.key, weights.key_norm, c.rms_norm_eps);
    qkv = Join(parts, x_NC.size(0));
  }
  if (context.rope_TD().defined())
    qkv = Rope(qkv, context.rope_TD(), shape.length, shape.heads + shape.key_value_heads);
  if (c.variant.feature_map != "identity") {
    Parts parts = Cut(qkv, shape);
    parts.query = FeatureMap(c.variant, weights, parts.query);
    parts.key = FeatureMap(c.variant, weights, parts.key);
    qkv = Join(parts, x_NC.size(0));
  }
  return qkv;
}

}  // namespace

AttentionContext::AttentionContext(const ModelConfig& config, const ParameterBuffer& parameters)
    : config_(config), rule_(RuleOf(config.variant)) {
  const std::string& kind = config.variant.position_embedding;
  const int64_t positions = Positions(config), heads = config.num_attention_heads;
  const at::TensorOptions options = parameters.values().options();
  if (kind == "rope") rope_ = RopeTable(positions, config.head_dim(), config.rope_theta, options);
  if (kind == "alibi") fixed_bias_ = AlibiBias(positions, heads, options);
  if (kind == "relative") fixed_bias_ = BucketBias(positions, heads, options);
  if (kind == "t5") learned_bias_ = parameters.WeightOf("model.relative_bias.weight");
}

at::Tensor AttentionContext::OffsetBias(int64_t length) const {
  if (learned_bias_.defined()) return LearnedBias(Value(learned_bias_), length);
  if (!fixed_bias_.defined()) return {};
  return fixed_bias_.narrow(1, Positions(config_) - length, 2 * length - 1).contiguous();
}

at::Tensor AttentionLayer(const AttentionContext& context, const LayerParameters& weights, const at::Tensor& x_NC,
                          const at::Tensor& offset_bias, int64_t batch, int64_t length, const SeeAttention& see) {
  const ModelConfig& c = context.config();
  const AttentionShape shape{batch, length, c.num_attention_heads, c.key_value_heads(), c.head_dim()};
  const AttentionTerms terms = TermsOf(c, weights, offset_bias, x_NC.options());
  const at::Tensor qkv = QueriesKeysValues(context, weights, x_NC, shape);
  at::Tensor out = Attention(qkv, shape, context.rule(), terms);
  if (c.variant.attention_sum != 1) out = out * c.variant.attention_sum;
  if (weights.value_bias.defined() && !terms.HasColumn())
    out = out + PerHead(Value(weights.value_bias), shape.heads).view({1, -1});
  at::Tensor gate;
  if (weights.gate.defined()) gate = at::sigmoid(Linear(x_NC, weights.gate));
  if (see) {
    const QueryKeyValue views = Split(qkv, shape);
    see({views.query, views.key, views.value, out.view({batch, length, shape.heads, shape.head_dim}).transpose(1, 2),
         gate, context.rule(), terms});
  }
  if (gate.defined()) {
    const at::Tensor by_head = gate.view({batch * length, shape.heads, -1});
    out = (out.view({batch * length, shape.heads, shape.head_dim}) * by_head).view({batch * length, -1});
  }
  return Linear(out, weights.attention_output);
}

}  // namespace sink
