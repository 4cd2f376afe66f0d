// The variants that tests of the transformer and of the trainer go through. Values only; any thread.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "proto/config/job_config.h"

namespace sink {

struct Variant {
  std::string name;
  VariantConfig config;
};
inline void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

// Two layers, a vocabulary of 30, up to 16 positions.
inline ModelConfig SmallModel(const VariantConfig& variant) {
  return {.hidden_size = 24,
          .intermediate_size = 20,
          .num_hidden_layers = 2,
          .num_attention_heads = 4,
          .num_key_value_heads = 2,
          .vocab_size = 30,
          .max_position_embeddings = 16,
          .variant = variant};
}

// One of each option alone, and combinations that meet in the code.
inline std::vector<Variant> Variants() {
  std::vector<Variant> all;
  const auto add = [&](std::string name, const std::function<void(VariantConfig&)>& change) {
    all.push_back({std::move(name), {}});
    change(all.back().config);
  };
  const auto name = [](const auto& entry) { return std::string(entry.name); };
  for (const auto& embedding : EnumNames<PositionEmbedding>::kTable)
    add(name(embedding), [&](VariantConfig& v) { v.position_embedding = embedding.value; });
  for (const auto& ffn : EnumNames<Ffn>::kTable)
    if (ffn.value != Ffn::kSwiglu) add(name(ffn), [&](VariantConfig& v) { v.ffn = ffn.value; });
  for (const auto& norm : EnumNames<NormPlacement>::kTable)
    if (norm.value != NormPlacement::kPre)
      add("norm_" + name(norm), [&](VariantConfig& v) { v.norm_placement = norm.value; });
  for (const auto& key : EnumNames<KeyBias>::kTable)
    for (const auto& value : EnumNames<ValueBias>::kTable) {
      if (key.value == KeyBias::kNone && !IsLearned(value.value)) continue;
      add("bias_" + name(key) + "_" + name(value), [&](VariantConfig& v) {
        v.key_bias = key.value;
        v.value_bias = value.value;
        if (IsFixed(value.value)) v.value_bias_scale = 5;
      });
    }
  for (const bool normalize : {true, false}) {
    const std::string suffix = normalize ? "_norm" : "_no_norm";
    for (const SimilarityFunction kind : {SimilarityFunction::kSigmoid, SimilarityFunction::kEluPlusOne})
      add(std::string(NameOf(kind)) + suffix, [&](VariantConfig& v) { v.similarity = kind, v.normalize = normalize; });
    for (const auto& map : EnumNames<FeatureMap>::kTable)
      add("kernel_" + name(map) + suffix, [&](VariantConfig& v) {
        v.similarity = SimilarityFunction::kIdentity, v.feature_map = map.value, v.normalize = normalize;
      });
  }
  add("softpick", [](VariantConfig& v) { v.similarity = SimilarityFunction::kSoftpick; });
  add("softmax_off_by_one", [](VariantConfig& v) { v.sink_logit = SinkLogit::kZero; });
  add("sink_logit", [](VariantConfig& v) { v.sink_logit = SinkLogit::kLearned; });
  add("sink_token", [](VariantConfig& v) { v.sink_token = true; });
  add("gate_headwise", [](VariantConfig& v) { v.attention_gate = AttentionGate::kHeadwise; });
  add("gate_elementwise", [](VariantConfig& v) { v.attention_gate = AttentionGate::kElementwise; });
  add("qk_norm", [](VariantConfig& v) { v.qk_norm = true; });
  add("attention_sum", [](VariantConfig& v) { v.attention_sum = 0.2; });
  add("prefix", [](VariantConfig& v) { v.prefix_length = 3; });
  add("window", [](VariantConfig& v) { v.window = 4; });
  add("sink_token_learnable_prefix_window", [](VariantConfig& v) {
    v.sink_token = true, v.position_embedding = PositionEmbedding::kLearnable, v.prefix_length = 2, v.window = 4;
  });
  add("sink_token_t5_sigmoid", [](VariantConfig& v) {
    v.sink_token = true, v.position_embedding = PositionEmbedding::kT5, v.similarity = SimilarityFunction::kSigmoid;
  });
  add("sandwich_qk_norm_gate_mlp_kernel", [](VariantConfig& v) {
    v.norm_placement = NormPlacement::kSandwich, v.qk_norm = true, v.attention_gate = AttentionGate::kElementwise;
    v.similarity = SimilarityFunction::kIdentity, v.feature_map = FeatureMap::kMlp, v.ffn = Ffn::kGelu;
  });
  add("post_alibi_key_bias_prefix", [](VariantConfig& v) {
    v.norm_placement = NormPlacement::kPost, v.position_embedding = PositionEmbedding::kAlibi,
    v.key_bias = KeyBias::kPerHead, v.prefix_length = 3;
  });
  return all;
}

}  // namespace sink
