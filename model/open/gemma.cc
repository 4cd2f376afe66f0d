// Gemma (2403.08295), Gemma 2 (2408.00118) and Gemma 3's text models (2503.19786): RMSNorm whose files hold the weight
// less 1, embeddings times sqrt(C). Gemma 2 adds norms of what blocks add, layers with and without a window in turns
// and caps of scores and logits; Gemma 3 has norms of queries and keys in the place of the caps, and another theta in
// the layers with a window.
#include <cmath>

#include "model/open/config_reader.h"

namespace sink {
namespace {

OpenConfig Sizes(const ConfigReader& c, const char* activation, int64_t heads, int64_t key_value_heads) {
  OpenConfig config;
  config.layers = c.Layers("num_hidden_layers");
  config.hidden_size = c.Size("hidden_size");
  config.heads = c.SizeOr("num_attention_heads", heads);
  config.head_dim = c.SizeOr("head_dim", 256);
  config.key_value_heads = c.SizeOr("num_key_value_heads", key_value_heads);
  config.intermediate_size = c.Size("intermediate_size");
  config.vocab_size = c.Size("vocab_size");
  config.norm_epsilon = c.NumberOr("rms_norm_eps", 1e-6);
  config.activation = c.Activation(activation, "gelu_pytorch_tanh");
  config.tied = c.FlagOr("tie_word_embeddings", true);
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
  config.qkv_bias = config.output_bias = c.FlagOr("attention_bias", false);
  c.Expect("use_bidirectional_attention", false);
  return config;
}

// What Gemma 2 and 3 share. Every `pattern`-th layer sees all.
void ReadAlternation(const ConfigReader& c, int64_t pattern, double score_cap, double logit_cap, OpenConfig& config) {
  config.kinds = c.Kinds(config.layers, c.SizeOr("sliding_window", 4096, 0),
                         [&](int64_t layer) { return (layer + 1) % pattern != 0; });
  config.score_scale = 1 / std::sqrt(c.NumberOr("query_pre_attn_scalar", 256));
  config.score_cap = c.NumberOr("attn_logit_softcapping", score_cap, 0);
  config.logit_cap = c.NumberOr("final_logit_softcapping", logit_cap, 0);
}

OpenConfig ReadGemma(const ConfigReader& c) {
  OpenConfig config = Sizes(c, "hidden_act", 16, 16);
  if (config.activation == OpenActivation::kGelu) config.activation = OpenActivation::kGeluTanh;  // "gelu" was a slip
  config.ropes = {c.Rope({.head_dim = config.head_dim, .max_positions = c.SizeOr("max_position_embeddings", 8192)})};
  return config;
}

OpenConfig ReadGemma2(const ConfigReader& c) {
  OpenConfig config = Sizes(c, "hidden_activation", 8, 4);
  config.ropes = {c.Rope({.head_dim = config.head_dim, .max_positions = c.SizeOr("max_position_embeddings", 8192)})};
  ReadAlternation(c, 2, 50, 30, config);
  return config;
}

OpenConfig ReadGemma3(const ConfigReader& c) {
  OpenConfig config = Sizes(c, "hidden_activation", 8, 4);
  ReadAlternation(c, c.SizeOr("sliding_window_pattern", c.SizeOr("_sliding_window_pattern", 6)), 0, 0, config);
  config.query_key_norm = QueryKeyNorm::kHead;
  RopeReading reading{.head_dim = config.head_dim,
                      .max_positions = c.SizeOr("max_position_embeddings", 131072),
                      .theta = 1e6,
                      .part = "full_attention"};
  config.ropes = {c.Rope(reading)};
  reading.theta = 1e4;
  reading.theta_field = "rope_local_base_freq";
  reading.part = "sliding_attention";
  config.ropes.push_back(c.Rope(reading));
  for (LayerKind& kind : config.kinds)
    if (kind.window > 0) kind.rope = 1;
  return config;
}

Family Table(const char* model_type, OpenConfig (*read)(const ConfigReader&)) {
  return {.model_type = model_type,
          .prefixes = {"model.", ""},
          .embedding = "embed_tokens",
          .final_norm = "norm",
          .head = "lm_head",
          .layers = "layers.",
          .input_norm = "input_layernorm",
          .feed_forward_norm = "pre_feedforward_layernorm",
          .attention_out_norm = "post_attention_layernorm",
          .feed_forward_out_norm = "post_feedforward_layernorm",
          .query_norm = "self_attn.q_norm",
          .key_norm = "self_attn.k_norm",
          .qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
          .output = "self_attn.o_proj",
          .gate = "mlp.gate_proj",
          .up = "mlp.up_proj",
          .down = "mlp.down_proj",
          .norm = NormKind::kRmsNorm,
          .norm_from_one = true,
          .buffers = {".rotary_emb.inv_freq"},
          .read = read};
}

Family FirstTable() {
  Family family = Table("gemma", ReadGemma);
  family.feed_forward_norm = "post_attention_layernorm";
  family.attention_out_norm = family.feed_forward_out_norm = "";
  return family;
}

}  // namespace

std::vector<const Family*> GemmaFamilies() {
  static const Family first = FirstTable(), second = Table("gemma2", ReadGemma2),
                      third = Table("gemma3_text", ReadGemma3);
  return {&first, &second, &third};
}

}  // namespace sink
