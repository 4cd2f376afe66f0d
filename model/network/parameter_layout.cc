#include "model/network/parameter_layout.h"

#include <cmath>
#include <utility>

#include "model/base/model_error.h"
#include "model/network/position.h"

namespace sink {
namespace {

constexpr double kBiasDeviation = 0.02;

class LayoutBuilder {
 public:
  explicit LayoutBuilder(const ModelConfig& config) : c_(config), v_(config.variant) {}

  std::vector<ParameterBuffer::Entry> Take() {
    Linear("model.embed_tokens.weight", c_.vocab_size, c_.hidden_size);
    if (v_.position_embedding == "learnable") Linear("model.embed_positions.weight", Positions(c_), c_.hidden_size);
    if (v_.position_embedding == "t5") Bias("model.relative_bias.weight", {kOffsetBuckets, c_.num_attention_heads});
    if (v_.sink_token) Linear("model.sink_token", 1, c_.hidden_size);
    for (int64_t n = 0; n < c_.num_hidden_layers; ++n) {
      prefix_ = "model.layers." + std::to_string(n) + ".";
      AttentionBlock();
      if (HasFeedForward(v_)) FeedForwardBlock();
    }
    prefix_.clear();
    if (v_.norm_placement != "post") Norm("model.norm.weight", c_.hidden_size);
    Linear("lm_head.weight", c_.vocab_size, c_.hidden_size);
    return std::move(layout_);
  }

 private:
  void AttentionBlock() {
    const int64_t hidden = c_.hidden_size, heads = c_.num_attention_heads, dim = c_.head_dim();
    const int64_t query = heads * dim, key = c_.key_value_heads() * dim;
    if (v_.norm_placement != "post") Norm("input_layernorm.weight", hidden);
    Linear("self_attn.q_proj.weight", query, hidden);
    Linear("self_attn.k_proj.weight", key, hidden);
    Linear("self_attn.v_proj.weight", key, hidden);
    if (v_.qk_norm) {
      Norm("self_attn.q_norm.weight", dim);
      Norm("self_attn.k_norm.weight", dim);
    }
    if (v_.feature_map == "mlp") {
      Linear("self_attn.feature_map.0.weight", dim, dim);
      Linear("self_attn.feature_map.1.weight", dim, dim);
    }
    for (const auto& [name, kind] :
         {std::pair{"self_attn.key_bias", v_.key_bias}, {"self_attn.value_bias", v_.value_bias}}) {
      if (kind == "shared") Bias(name, {dim});
      if (kind == "per_head") Bias(name, {heads, dim});
    }
    if (v_.sink_logit == "learned") Bias("self_attn.sink_logit", {heads});
    if (v_.attention_gate != "none")
      Linear("self_attn.gate_proj.weight", v_.attention_gate == "headwise" ? heads : query, hidden);
    Linear("self_attn.o_proj.weight", hidden, query);
    if (v_.norm_placement != "pre") Norm("post_attention_layernorm.weight", hidden);
  }

  void FeedForwardBlock() {
    const int64_t hidden = c_.hidden_size, inner = c_.intermediate_size;
    if (v_.norm_placement == "pre") Norm("post_attention_layernorm.weight", hidden);
    if (v_.norm_placement == "sandwich") Norm("pre_feedforward_layernorm.weight", hidden);
    if (IsGated(v_)) Linear("mlp.gate_proj.weight", inner, hidden);
    Linear("mlp.up_proj.weight", inner, hidden);
    Linear("mlp.down_proj.weight", hidden, inner);
    layout_.back().deviation = 1 / std::sqrt(static_cast<double>(inner)) / static_cast<double>(c_.num_hidden_layers);
    if (v_.norm_placement != "pre") Norm("post_feedforward_layernorm.weight", hidden);
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

bool HasFeedForward(const VariantConfig& variant) { return variant.ffn != "none"; }

bool IsGated(const VariantConfig& variant) { return variant.ffn.ends_with("glu"); }

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
  const auto learned = [](const std::string& bias) { return bias == "shared" || bias == "per_head"; };
  const bool pre = v.norm_placement == "pre", post = v.norm_placement == "post";
  const bool feeds = HasFeedForward(v), gated = IsGated(v);
  return {.input_norm = weight(!post, "input_layernorm.weight"),
          .qkv = weight(true, "self_attn.q_proj.weight", 3),
          .query_norm = weight(v.qk_norm, "self_attn.q_norm.weight"),
          .key_norm = weight(v.qk_norm, "self_attn.k_norm.weight"),
          .feature_map_0 = weight(v.feature_map == "mlp", "self_attn.feature_map.0.weight"),
          .feature_map_1 = weight(v.feature_map == "mlp", "self_attn.feature_map.1.weight"),
          .key_bias = weight(learned(v.key_bias), "self_attn.key_bias"),
          .value_bias = weight(learned(v.value_bias), "self_attn.value_bias"),
          .sink_logit = weight(v.sink_logit == "learned", "self_attn.sink_logit"),
          .gate = weight(v.attention_gate != "none", "self_attn.gate_proj.weight"),
          .attention_output = weight(true, "self_attn.o_proj.weight"),
          .post_attention_norm = weight(!pre, "post_attention_layernorm.weight"),
          .feed_forward_norm =
              weight(feeds && !post, pre ? "post_attention_layernorm.weight" : "pre_feedforward_layernorm.weight"),
          .gate_up = weight(feeds, gated ? "mlp.gate_proj.weight" : "mlp.up_proj.weight", gated ? 2 : 1),
          .down = weight(feeds, "mlp.down_proj.weight"),
          .post_feed_forward_norm = weight(feeds && !pre, "post_feedforward_layernorm.weight")};
}

}  // namespace sink
