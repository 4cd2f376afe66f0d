#include "model/network/parameter_layout.h"

#include <cmath>
#include <utility>

#include "model/base/model_error.h"
#include "model/network/position.h"

namespace sink {
namespace {

constexpr double kBiasDeviation = 0.02;

// LLaMA names the norm before the feed-forward block after attention, which it follows. Where attention has a norm of
// its own output, that one has the name.
const char* FeedForwardNorm(const VariantConfig& v) {
  return NormsOutput(v.norm_placement) ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight";
}

class LayoutBuilder {
 public:
  explicit LayoutBuilder(const ModelConfig& config) : c_(config), v_(config.variant) {}

  std::vector<ParameterBuffer::Entry> Take() {
    Linear("model.embed_tokens.weight", c_.vocab_size, c_.hidden_size);
    if (v_.position_embedding == PositionEmbedding::kLearnable)
      Linear("model.embed_positions.weight", Positions(c_), c_.hidden_size);
    if (v_.position_embedding == PositionEmbedding::kT5)
      Bias("model.relative_bias.weight", {kOffsetBuckets, c_.num_attention_heads});
    if (v_.sink_token) Linear("model.sink_token", 1, c_.hidden_size);
    for (int64_t n = 0; n < c_.num_hidden_layers; ++n) {
      prefix_ = "model.layers." + std::to_string(n) + ".";
      AttentionBlock();
      if (v_.ffn != Ffn::kNone) FeedForwardBlock();
    }
    prefix_.clear();
    if (NormsInput(v_.norm_placement)) Norm("model.norm.weight", c_.hidden_size);
    Linear("lm_head.weight", c_.vocab_size, c_.hidden_size);
    return std::move(layout_);
  }

 private:
  void AttentionBlock() {
    const int64_t hidden = c_.hidden_size, heads = c_.num_attention_heads, dim = c_.head_dim();
    const int64_t query = heads * dim, key = c_.key_value_heads() * dim;
    if (NormsInput(v_.norm_placement)) Norm("input_layernorm.weight", hidden);
    Linear("self_attn.q_proj.weight", query, hidden);
    Linear("self_attn.k_proj.weight", key, hidden);
    Linear("self_attn.v_proj.weight", key, hidden);
    if (v_.qk_norm) {
      Norm("self_attn.q_norm.weight", dim);
      Norm("self_attn.k_norm.weight", dim);
    }
    if (v_.feature_map == FeatureMap::kMlp) {
      Linear("self_attn.feature_map.0.weight", dim, dim);
      Linear("self_attn.feature_map.1.weight", dim, dim);
    }
    AttentionBiases();
    switch (v_.attention_gate) {
      case AttentionGate::kNone:
        break;
      case AttentionGate::kHeadwise:
        Linear("self_attn.gate_proj.weight", heads, hidden);
        break;
      case AttentionGate::kElementwise:
        Linear("self_attn.gate_proj.weight", query, hidden);
        break;
    }
    Linear("self_attn.o_proj.weight", hidden, query);
    if (NormsOutput(v_.norm_placement)) Norm("post_attention_layernorm.weight", hidden);
  }

  void AttentionBiases() {
    const int64_t heads = c_.num_attention_heads, dim = c_.head_dim();
    switch (v_.key_bias) {
      case KeyBias::kNone:
        break;
      case KeyBias::kShared:
        Bias("self_attn.key_bias", {dim});
        break;
      case KeyBias::kPerHead:
        Bias("self_attn.key_bias", {heads, dim});
        break;
    }
    switch (v_.value_bias) {
      case ValueBias::kShared:
        Bias("self_attn.value_bias", {dim});
        break;
      case ValueBias::kPerHead:
        Bias("self_attn.value_bias", {heads, dim});
        break;
      case ValueBias::kNone:
      case ValueBias::kUnit:
      case ValueBias::kUniform:
        break;
    }
    if (v_.sink_logit == SinkLogit::kLearned) Bias("self_attn.sink_logit", {heads});
  }

  void FeedForwardBlock() {
    const int64_t hidden = c_.hidden_size, inner = c_.intermediate_size;
    if (NormsInput(v_.norm_placement)) Norm(FeedForwardNorm(v_), hidden);
    if (IsGated(v_.ffn)) Linear("mlp.gate_proj.weight", inner, hidden);
    Linear("mlp.up_proj.weight", inner, hidden);
    Linear("mlp.down_proj.weight", hidden, inner);
    layout_.back().deviation = 1 / std::sqrt(static_cast<double>(inner)) / static_cast<double>(c_.num_hidden_layers);
    if (NormsOutput(v_.norm_placement)) Norm("post_feedforward_layernorm.weight", hidden);
  }

  void Linear(const std::string& name, int64_t out, int64_t in) {
    layout_.push_back({prefix_ + name, {out, in}, std::sqrt(0.4 / static_cast<double>(in))});
  }
  void Norm(const std::string& name, int64_t size) { layout_.push_back({prefix_ + name, {size}, 0}); }
  void Bias(const std::string& name, std::vector<int64_t> shape) {
    layout_.push_back({prefix_ + name, std::move(shape), kBiasDeviation});
  }

  const ModelConfig& c_;
  const VariantConfig& v_;
  std::string prefix_;
  std::vector<ParameterBuffer::Entry> layout_;
};

}  // namespace

std::vector<ParameterBuffer::Entry> ParameterLayout(const ModelConfig& config) {
  if (config.num_attention_heads < 1 || config.key_value_heads() < 1) throw ModelError("a model needs a head");
  if (const auto [path, error] = CheckModelConfig(config); !error.empty()) throw ModelError(path + " " + error);
  return LayoutBuilder(config).Take();
}

LayerParameters LayerWeights(const ParameterBuffer& parameters, const ModelConfig& config, int64_t layer) {
  const VariantConfig& v = config.variant;
  const std::string prefix = "model.layers." + std::to_string(layer) + ".";
  const auto weight = [&](bool present, const char* name, int64_t count = 1) {
    return present ? parameters.WeightOf(prefix + name, count) : Weight();
  };
  const auto exact = [&](bool present, const char* name) {
    return present ? parameters.ExactWeightOf(prefix + name) : Weight();
  };
  const bool norms_input = NormsInput(v.norm_placement), norms_output = NormsOutput(v.norm_placement);
  const bool feeds = v.ffn != Ffn::kNone, gated = IsGated(v.ffn);
  return {.input_norm = exact(norms_input, "input_layernorm.weight"),
          .qkv = weight(true, "self_attn.q_proj.weight", 3),
          .query_norm = exact(v.qk_norm, "self_attn.q_norm.weight"),
          .key_norm = exact(v.qk_norm, "self_attn.k_norm.weight"),
          .feature_map_0 = weight(v.feature_map == FeatureMap::kMlp, "self_attn.feature_map.0.weight"),
          .feature_map_1 = weight(v.feature_map == FeatureMap::kMlp, "self_attn.feature_map.1.weight"),
          .key_bias = exact(v.key_bias != KeyBias::kNone, "self_attn.key_bias"),
          .value_bias = exact(IsLearned(v.value_bias), "self_attn.value_bias"),
          .sink_logit = exact(v.sink_logit == SinkLogit::kLearned, "self_attn.sink_logit"),
          .gate = weight(v.attention_gate != AttentionGate::kNone, "self_attn.gate_proj.weight"),
          .attention_output = weight(true, "self_attn.o_proj.weight"),
          .post_attention_norm = exact(norms_output, "post_attention_layernorm.weight"),
          .feed_forward_norm = exact(feeds && norms_input, FeedForwardNorm(v)),
          .gate_up = weight(feeds, gated ? "mlp.gate_proj.weight" : "mlp.up_proj.weight", gated ? 2 : 1),
          .down = weight(feeds, "mlp.down_proj.weight"),
          .post_feed_forward_norm = exact(feeds && norms_output, "post_feedforward_layernorm.weight")};
}

}  // namespace sink
