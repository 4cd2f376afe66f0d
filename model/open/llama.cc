// LLaMA 2, 3 and 3.1 (Touvron et al. 2307.09288, Grattafiori et al. 2407.21783) and Mistral (Jiang et al. 2310.06825),
// which adds a window: RMSNorm, RoPE over the whole head, SwiGLU, no biases, grouped keys and values in the newer ones.
#include "model/open/config_reader.h"

namespace sink {
namespace {

OpenConfig ReadCommon(const ConfigReader& c) {
  OpenConfig config;
  config.layers = c.Size("num_hidden_layers");
  config.hidden_size = c.Size("hidden_size");
  config.heads = c.Has("head_dim") ? c.Size("num_attention_heads") : c.Heads("num_attention_heads", config.hidden_size);
  config.head_dim = c.SizeOr("head_dim", config.hidden_size / config.heads);
  config.intermediate_size = c.Size("intermediate_size");
  config.vocab_size = c.Size("vocab_size");
  config.norm_epsilon = c.NumberOr("rms_norm_eps", 1e-6);
  config.activation = c.Activation("hidden_act", "silu");
  config.tied = c.FlagOr("tie_word_embeddings", false);
  config.rope = c.Rope(config.head_dim, 1e4, 1);
  c.Expect("attention_bias", false);
  c.Expect("mlp_bias", false);
  return config;
}

OpenConfig ReadLlama(const ConfigReader& c) {
  OpenConfig config = ReadCommon(c);
  config.key_value_heads = c.SizeOr("num_key_value_heads", config.heads);
  config.max_positions = c.SizeOr("max_position_embeddings", 2048);
  return config;
}

OpenConfig ReadMistral(const ConfigReader& c) {
  OpenConfig config = ReadCommon(c);
  config.key_value_heads = c.SizeOr("num_key_value_heads", 8);
  config.max_positions = c.SizeOr("max_position_embeddings", 131072);
  config.window = c.SizeOr("sliding_window", 0);
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
          .feed_forward_norm = "post_attention_layernorm",
          .qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
          .output = "self_attn.o_proj",
          .gate = "mlp.gate_proj",
          .up = "mlp.up_proj",
          .down = "mlp.down_proj",
          .norm = NormKind::kRmsNorm,
          .buffers = {".rotary_emb.inv_freq"},
          .read = read};
}

}  // namespace

const Family& LlamaFamily() {
  static const Family family = Table("llama", ReadLlama);
  return family;
}

const Family& MistralFamily() {
  static const Family family = Table("mistral", ReadMistral);
  return family;
}

}  // namespace sink
