#include "model/network/attention_layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>

#include "model/network/attention_terms.h"
#include "model/network/operations.h"
#include "model/network/position.h"

namespace sink {
namespace {

using kernels::Normalizer;
using kernels::Similarity;

Similarity SimilarityOf(SimilarityFunction function) {
  switch (function) {
    case SimilarityFunction::kSigmoid:
      return Similarity::kSigmoid;
    case SimilarityFunction::kEluPlusOne:
      return Similarity::kEluPlusOne;
    case SimilarityFunction::kIdentity:
      return Similarity::kIdentity;
    case SimilarityFunction::kSoftpick:
      return Similarity::kSoftpick;
    case SimilarityFunction::kSoftmax:
      break;
  }
  return Similarity::kSoftmax;
}

AttentionRule RuleOf(const VariantConfig& v) {
  AttentionRule rule{.prefix = v.prefix_length, .window = v.window};
  if (v.sink_token && rule.prefix > 0) ++rule.prefix;  // the token comes before the text's prefix
  rule.weights.similarity = SimilarityOf(v.similarity);
  // Products of elu + 1 are positive; others may sum to anything.
  if (v.similarity == SimilarityFunction::kIdentity && v.feature_map != FeatureMap::kEluPlusOne)
    rule.weights.normalizer = Normalizer::kSumOrOne;
  if (!v.normalize) rule.weights.normalizer = Normalizer::kNone;
  return rule;
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

at::Tensor Mapped(FeatureMap map, const LayerParameters& weights, const at::Tensor& x) {
  switch (map) {
    case FeatureMap::kEluPlusOne:
      return at::elu(x) + 1;
    case FeatureMap::kMlp:
      return Linear(at::relu(Linear(x, weights.feature_map_0)), weights.feature_map_1);
    case FeatureMap::kIdentity:
      break;
  }
  return x;
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
  if (const FeatureMap map = c.variant.feature_map; map != FeatureMap::kIdentity) {
    Parts parts = Cut(qkv, shape);
    parts.query = Mapped(map, weights, parts.query);
    parts.key = Mapped(map, weights, parts.key);
    qkv = Join(parts, x_NC.size(0));
  }
  return qkv;
}

}  // namespace

AttentionContext::AttentionContext(const ModelConfig& config, const ParameterBuffer& parameters)
    : config_(config), rule_(RuleOf(config.variant)), term_options_(parameters.values().options()) {
  const int64_t positions = Positions(config), heads = config.num_attention_heads;
  switch (config.variant.position_embedding) {
    case PositionEmbedding::kRope:
      rope_ = RopeTable(positions, config.head_dim(), config.rope_theta, term_options_);
      break;
    case PositionEmbedding::kAlibi:
      fixed_bias_ = AlibiBias(positions, heads, term_options_);
      break;
    case PositionEmbedding::kRelative:
      fixed_bias_ = BucketBias(positions, heads, term_options_);
      break;
    case PositionEmbedding::kT5:
      learned_bias_ = parameters.ExactWeightOf("model.relative_bias.weight");
      buckets_ = OffsetBuckets(positions, term_options_.device());
      break;
    case PositionEmbedding::kNope:
    case PositionEmbedding::kSinusoidal:  // the transformer adds these two to the embeddings
    case PositionEmbedding::kLearnable:
      break;
  }
}

at::Tensor AttentionContext::OffsetBias(int64_t length) const {
  const int64_t first = Positions(config_) - length, count = 2 * length - 1;
  if (learned_bias_.defined()) return LearnedBias(Value(learned_bias_), buckets_.narrow(0, first, count));
  if (!fixed_bias_.defined()) return {};
  return fixed_bias_.narrow(1, first, count).contiguous();
}

at::Tensor AttentionLayer(const AttentionContext& context, const LayerParameters& weights, const at::Tensor& x_NC,
                          const at::Tensor& offset_bias, int64_t batch, int64_t length, const SeeAttention& see) {
  const ModelConfig& c = context.config();
  const AttentionShape shape = ShapeOf(c, batch, length);
  const AttentionTerms terms = TermsOf(c, weights, offset_bias, context.term_options());
  const at::Tensor qkv = QueriesKeysValues(context, weights, x_NC, shape);
  ObservedAttention observed;
  if (see) observed = ObserveAttention(qkv, shape, context.rule(), terms);
  at::Tensor out = see ? observed.output_NC : Attention(qkv, shape, context.rule(), terms);
  if (c.variant.attention_sum != 1) out = out * c.variant.attention_sum;
  if (weights.value_bias.defined() && !terms.HasColumn())
    out = (out + PerHead(Value(weights.value_bias), shape.heads).view({1, -1})).to(out.scalar_type());
  at::Tensor gate;
  if (weights.gate.defined()) gate = at::sigmoid(Linear(x_NC, weights.gate));
  if (see) {
    const QueryKeyValue views = Split(qkv, shape);
    see({views.query, views.key, views.value, out.view({batch, length, shape.heads, shape.head_dim}).transpose(1, 2),
         gate, context.rule(), terms, observed.key_sums});
  }
  if (gate.defined()) {
    const at::Tensor by_head = gate.view({batch * length, shape.heads, -1});
    out = (out.view({batch * length, shape.heads, shape.head_dim}) * by_head).view({batch * length, -1});
  }
  return Linear(out, weights.attention_output);
}

}  // namespace sink
