// Cohere's Command R (2024): LayerNorm without a bias, one norm for both blocks in parallel, RoPE that pairs
// neighbours, tied and scaled logits; Command R+ adds norms of queries and keys with a weight for each head.
#include "model/open/config_reader.h"

namespace sink {
namespace {

OpenConfig Read(const ConfigReader& c) {
  OpenConfig config;
  config.layers = c.Layers("num_hidden_layers");
  config.hidden_size = c.Size("hidden_size");
  config.heads = c.Heads("num_attention_heads", config.hidden_size);
  config.head_dim = c.SizeOr("head_dim", config.hidden_size / config.heads);
  config.key_value_heads = c.SizeOr("num_key_value_heads", config.heads);
  config.intermediate_size = c.Size("intermediate_size");
  config.vocab_size = c.Size("vocab_size");
  config.norm_epsilon = c.NumberOr("layer_norm_eps", 1e-5);
  config.activation = c.Activation("hidden_act", "silu");
  config.wiring = Wiring::kParallel;
  config.tied = c.FlagOr("tie_word_embeddings", true);
  config.logit_scale = c.NumberOr("logit_scale", 0.0625);
  config.qkv_bias = config.output_bias = c.FlagOr("attention_bias", false);
  if (c.FlagOr("use_qk_norm", false)) config.query_key_norm = QueryKeyNorm::kEachHead;
  config.ropes = {c.Rope({.head_dim = config.head_dim,
                          .max_positions = c.SizeOr("max_position_embeddings", 8192),
                          .theta = 5e5,
                          .interleaved = true})};
  return config;
}

}  // namespace

std::vector<const Family*> CohereFamilies() {
  static const Family family = {.model_type = "cohere",
                                .prefixes = {"model.", ""},
                                .embedding = "embed_tokens",
                                .final_norm = "norm",
                                .head = "lm_head",
                                .layers = "layers.",
                                .input_norm = "input_layernorm",
                                .query_norm = "self_attn.q_norm",
                                .key_norm = "self_attn.k_norm",
                                .qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
                                .output = "self_attn.o_proj",
                                .gate = "mlp.gate_proj",
                                .up = "mlp.up_proj",
                                .down = "mlp.down_proj",
                                .norm_bias = false,
                                .buffers = {".rotary_emb.inv_freq"},
                                .read = Read};
  return {&family};
}

}  // namespace sink
