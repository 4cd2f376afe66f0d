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
  for (const char* kind : {"rope", "nope", "sinusoidal", "learnable", "alibi", "relative", "t5"})
    add(kind, [&](VariantConfig& v) { v.position_embedding = kind; });
  for (const char* kind : {"geglu", "reglu", "gelu", "relu", "swish", "none"})
    add(kind, [&](VariantConfig& v) { v.ffn = kind; });
  for (const char* kind : {"post", "sandwich"})
    add(std::string("norm_") + kind, [&](VariantConfig& v) { v.norm_placement = kind; });
  for (const char* key : {"none", "shared", "per_head"})
    for (const char* value : {"none", "shared", "per_head", "unit", "uniform"}) {
      const bool fixed = std::string(value).starts_with("uni");
      if (key == std::string("none") && (value == std::string("none") || fixed)) continue;
      add(std::string("bias_") + key + "_" + value, [&](VariantConfig& v) {
        v.key_bias = key;
        v.value_bias = value;
        if (fixed) v.value_bias_scale = 5;
      });
    }
  for (const bool normalize : {true, false}) {
    const std::string suffix = normalize ? "_norm" : "_no_norm";
    for (const char* kind : {"sigmoid", "elu_plus_one"})
      add(kind + suffix, [&](VariantConfig& v) { v.similarity = kind, v.normalize = normalize; });
    for (const char* map : {"identity", "elu_plus_one", "mlp"})
      add(std::string("kernel_") + map + suffix,
          [&](VariantConfig& v) { v.similarity = "identity", v.feature_map = map, v.normalize = normalize; });
  }
  add("softpick", [](VariantConfig& v) { v.similarity = "softpick"; });
  add("softmax_off_by_one", [](VariantConfig& v) { v.sink_logit = "zero"; });
  add("sink_logit", [](VariantConfig& v) { v.sink_logit = "learned"; });
  add("sink_token", [](VariantConfig& v) { v.sink_token = true; });
  add("gate_headwise", [](VariantConfig& v) { v.attention_gate = "headwise"; });
  add("gate_elementwise", [](VariantConfig& v) { v.attention_gate = "elementwise"; });
  add("qk_norm", [](VariantConfig& v) { v.qk_norm = true; });
  add("attention_sum", [](VariantConfig& v) { v.attention_sum = 0.2; });
  add("prefix", [](VariantConfig& v) { v.prefix_length = 3; });
  add("window", [](VariantConfig& v) { v.window = 4; });
  add("sink_token_learnable_prefix_window", [](VariantConfig& v) {
    v.sink_token = true, v.position_embedding = "learnable", v.prefix_length = 2, v.window = 4;
  });
  add("sink_token_t5_sigmoid",
      [](VariantConfig& v) { v.sink_token = true, v.position_embedding = "t5", v.similarity = "sigmoid"; });
  add("sandwich_qk_norm_gate_mlp_kernel", [](VariantConfig& v) {
    v.norm_placement = "sandwich", v.qk_norm = true, v.attention_gate = "elementwise";
    v.similarity = "identity", v.feature_map = "mlp", v.ffn = "gelu";
  });
  add("post_alibi_key_bias_prefix", [](VariantConfig& v) {
    v.norm_placement = "post", v.position_embedding = "alibi", v.key_bias = "per_head", v.prefix_length = 3;
  });
  return all;
}

}  // namespace sink
