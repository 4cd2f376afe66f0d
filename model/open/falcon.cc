// Falcon (Almazrouei et al. 2311.16867) in its three layouts: 7B (one key/value head, one norm for both blocks in
// parallel), 40B (groups of queries beside their key and value, a norm for each block) and one block after the other;
// and BLOOM (Scao et al. 2211.05100), whose positions are ALiBi's biases and whose embeddings are normed.
#include "model/open/config_reader.h"

namespace sink {
namespace {

Family Table(const char* model_type, OpenConfig (*read)(const ConfigReader&)) {
  return {.model_type = model_type,
          .prefixes = {"transformer.", ""},
          .embedding = "word_embeddings",
          .final_norm = "ln_f",
          .head = "lm_head",
          .layers = "h.",
          .input_norm = "input_layernorm",
          .feed_forward_norm = "post_attention_layernorm",
          .qkv = {"self_attention.query_key_value"},
          .output = "self_attention.dense",
          .up = "mlp.dense_h_to_4h",
          .down = "mlp.dense_4h_to_h",
          .qkv_layout = QkvLayout::kInterleaved,
          .buffers = {".rotary_emb.inv_freq"},
          .read = read};
}

OpenConfig ReadFalcon(const ConfigReader& c);

const Family& Falcon() {  // one block after the other
  static const Family family = Table("falcon", ReadFalcon);
  return family;
}

const Family& FalconWith(bool two_norms) {
  static const auto make = [](const char* first, const char* second) {
    Family family = Falcon();
    family.input_norm = first;
    family.feed_forward_norm = second;
    return family;
  };
  static const Family one = make("input_layernorm", ""), two = make("ln_attn", "ln_mlp");
  return two_norms ? two : one;
}

// Of several query heads there is one key and one value, after all of them.
const Family& MultiQuery(const Family& family) {
  static const auto make = [](const Family& table) {
    Family merged = table;
    merged.qkv_layout = QkvLayout::kMerged;
    return merged;
  };
  static const Family sequential = make(Falcon()), parallel = make(FalconWith(false));
  return family.feed_forward_norm.empty() ? parallel : sequential;
}

OpenConfig ReadFalcon(const ConfigReader& c) {
  OpenConfig config;
  config.layers = c.Layers("num_hidden_layers");
  config.hidden_size = c.Size("hidden_size");
  config.heads = c.Heads("num_attention_heads", config.hidden_size);
  config.intermediate_size = c.SizeOr("ffn_hidden_size", 4 * config.hidden_size);
  config.vocab_size = c.Size("vocab_size");
  config.norm_epsilon = c.NumberOr("layer_norm_epsilon", 1e-5);
  config.activation = c.Activation("activation", "gelu");
  config.tied = c.FlagOr("tie_word_embeddings", true);
  const bool bias = c.FlagOr("bias", false);
  config.qkv_bias = config.output_bias = config.feed_forward_bias = bias;
  c.Expect("alibi", false);
  const bool grouped = c.FlagOr("new_decoder_architecture", false);
  if (grouped || c.FlagOr("parallel_attn", true)) config.wiring = Wiring::kParallel;
  const bool two_norms = grouped && c.SizeOr("num_ln_in_parallel_attn", 2) == 2;
  config.family = config.wiring == Wiring::kParallel ? &FalconWith(two_norms) : &Falcon();
  if (grouped) {
    config.key_value_heads = c.SizeOr("num_kv_heads", config.heads);
  } else if (c.FlagOr("multi_query", true)) {
    config.key_value_heads = 1;
    config.family = &MultiQuery(*config.family);
  }
  config.ropes = {c.Rope(
      {.head_dim = config.hidden_size / config.heads, .max_positions = c.SizeOr("max_position_embeddings", 2048)})};
  return config;
}

OpenConfig ReadBloom(const ConfigReader& c) {
  OpenConfig config;
  config.layers = c.Layers(c.Has("n_layer") ? "n_layer" : "num_hidden_layers");
  config.hidden_size = c.Size(c.Has("n_embed") ? "n_embed" : "hidden_size");
  config.heads = c.Heads(c.Has("n_head") ? "n_head" : "num_attention_heads", config.hidden_size);
  config.intermediate_size = 4 * config.hidden_size;
  config.vocab_size = c.Size("vocab_size");
  config.norm_epsilon = c.NumberOr("layer_norm_epsilon", 1e-5);
  config.activation = OpenActivation::kGeluTanh;
  config.tied = c.FlagOr("tie_word_embeddings", true);
  config.alibi = true;
  c.Expect("apply_residual_connection_post_layernorm", false);
  return config;
}

Family BloomTable() {
  Family family = Table("bloom", ReadBloom);
  family.embedding_norm = "word_embeddings_layernorm";
  family.bias = true;
  return family;
}

}  // namespace

std::vector<const Family*> FalconFamilies() {
  static const Family bloom = BloomTable();
  return {&Falcon(), &bloom};
}

}  // namespace sink
