// GPT-NeoX (Black et al. 2204.06745), of which the Pythia models are (Biderman et al. 2304.01373): queries, keys and
// values of a head side by side in one matrix, RoPE on the first quarter of a head, attention and feed-forward block in
// parallel; and GPT-J (Wang and Komatsuzaki 2021), whose blocks read one norm and whose RoPE pairs neighbours. Older
// files hold the causal mask and RoPE's frequencies as buffers.
#include "model/open/config_reader.h"

namespace sink {
namespace {

OpenConfig ReadNeox(const ConfigReader& c) {
  OpenConfig config;
  config.layers = c.Layers("num_hidden_layers");
  config.hidden_size = c.Size("hidden_size");
  config.heads = c.Heads("num_attention_heads", config.hidden_size);
  config.intermediate_size = c.Size("intermediate_size");
  config.vocab_size = c.Size("vocab_size");
  config.norm_epsilon = c.NumberOr("layer_norm_eps", 1e-5);
  config.activation = c.Activation("hidden_act", "gelu");
  config.wiring = c.FlagOr("use_parallel_residual", true) ? Wiring::kParallel : Wiring::kPreNorm;
  config.tied = c.FlagOr("tie_word_embeddings", false);
  // rope_theta and partial_rotary_factor at the top are not this family's.
  config.ropes = {c.Rope({.head_dim = config.hidden_size / config.heads,
                          .max_positions = c.SizeOr("max_position_embeddings", 2048),
                          .share = 0.25,
                          .partial = true,
                          .theta_field = "rotary_emb_base",
                          .share_field = "rotary_pct"})};
  config.qkv_bias = config.output_bias = c.FlagOr("attention_bias", true);
  return config;
}

OpenConfig ReadGptJ(const ConfigReader& c) {
  OpenConfig config;
  config.layers = c.Layers("n_layer");
  config.hidden_size = c.Size("n_embd");
  config.heads = c.Heads("n_head", config.hidden_size);
  config.intermediate_size = c.SizeOr("n_inner", 4 * config.hidden_size);
  config.vocab_size = c.Size("vocab_size");
  config.norm_epsilon = c.NumberOr("layer_norm_epsilon", 1e-5);
  config.activation = c.Activation("activation_function", "gelu_new");
  config.wiring = Wiring::kParallel;
  config.tied = c.FlagOr("tie_word_embeddings", false);
  config.qkv_bias = config.output_bias = false;
  config.head_bias = true;
  const int64_t head_dim = config.hidden_size / config.heads;
  const int64_t dims = c.SizeOr("rotary_dim", 64, head_dim);
  if (dims > head_dim || dims % 2 != 0) c.Fail("rotary_dim must be an even number of at most a head's dimensions");
  config.ropes = {{.dims = dims, .interleaved = true}};
  config.max_positions = c.SizeOr("n_positions", 2048);  // transformers has a table of as many
  return config;
}

}  // namespace

std::vector<const Family*> GptNeoxFamilies() {
  static const Family neox = {.model_type = "gpt_neox",
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
                              .read = ReadNeox};
  static const Family gptj = {.model_type = "gptj",
                              .prefixes = {"transformer.", ""},
                              .embedding = "wte",
                              .final_norm = "ln_f",
                              .head = "lm_head",
                              .layers = "h.",
                              .input_norm = "ln_1",
                              .qkv = {"attn.q_proj", "attn.k_proj", "attn.v_proj"},
                              .output = "attn.out_proj",
                              .up = "mlp.fc_in",
                              .down = "mlp.fc_out",
                              .bias = true,
                              .buffers = {".attn.bias", ".attn.masked_bias", ".attn.embed_positions"},
                              .read = ReadGptJ};
  return {&neox, &gptj};
}

}  // namespace sink
