// GPT-NeoX (Black et al. 2204.06745), of which the Pythia models are (Biderman et al. 2304.01373): queries, keys and
// values of a head side by side in one matrix, RoPE on the first quarter of a head, attention and feed-forward block in
// parallel. Older files hold the causal mask and RoPE's frequencies as buffers.
#include "model/open/config_reader.h"

namespace sink {
namespace {

OpenConfig Read(const ConfigReader& c) {
  OpenConfig config;
  config.layers = c.Size("num_hidden_layers");
  config.hidden_size = c.Size("hidden_size");
  config.heads = c.Heads("num_attention_heads", config.hidden_size);
  config.intermediate_size = c.Size("intermediate_size");
  config.vocab_size = c.Size("vocab_size");
  config.max_positions = c.SizeOr("max_position_embeddings", 2048);
  config.norm_epsilon = c.NumberOr("layer_norm_eps", 1e-5);
  config.activation = c.Activation("hidden_act", "gelu");
  config.wiring = c.FlagOr("use_parallel_residual", true) ? Wiring::kParallel : Wiring::kPreNorm;
  config.tied = c.FlagOr("tie_word_embeddings", false);
  config.rope =
      c.Rope(config.hidden_size / config.heads, c.NumberOr("rotary_emb_base", 1e4), c.NumberOr("rotary_pct", 0.25));
  c.Expect("attention_bias", true);
  return config;
}

}  // namespace

const Family& GptNeoxFamily() {
  static const Family family = {.model_type = "gpt_neox",
                                .prefixes = {"gpt_neox.", ""},
                                .embedding = "embed_in",
                                .final_norm = "final_layer_norm",
                                .head = "embed_out",
                                .layers = "layers.",
                                .input_norm = "input_layernorm",
                                .feed_forward_norm = "post_attention_layernorm",
                                .qkv = {"attention.query_key_value"},
                                .output = "attention.dense",
                                .up = "mlp.dense_h_to_4h",
                                .down = "mlp.dense_4h_to_h",
                                .qkv_layout = QkvLayout::kInterleaved,
                                .bias = true,
                                .buffers = {".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"},
                                .read = Read};
  return family;
}

}  // namespace sink
