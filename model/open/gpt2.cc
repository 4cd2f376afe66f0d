// GPT-2 (Radford et al. 2019): learned positions, pre-norm, tanh's GELU, tied head. Its matrices are stored [in, out],
// and older files hold the causal mask as a buffer.
#include "model/open/config_reader.h"

namespace sink {
namespace {

OpenConfig Read(const ConfigReader& c) {
  OpenConfig config;
  config.layers = c.Layers("n_layer");
  config.hidden_size = c.Size("n_embd");
  config.heads = c.Heads("n_head", config.hidden_size);
  config.intermediate_size = c.SizeOr("n_inner", 4 * config.hidden_size);
  config.vocab_size = c.Size("vocab_size");
  config.max_positions = c.SizeOr("n_positions", 1024);
  config.norm_epsilon = c.NumberOr("layer_norm_epsilon", 1e-5);
  config.activation = c.Activation("activation_function", "gelu_new");
  config.tied = c.FlagOr("tie_word_embeddings", true);
  if (!c.FlagOr("scale_attn_weights", true)) config.score_scale = 1;
  config.kinds.resize(static_cast<size_t>(config.layers));
  if (c.FlagOr("scale_attn_by_inverse_layer_idx", false))
    for (size_t n = 0; n < config.kinds.size(); ++n) config.kinds[n].query_scale = 1 / static_cast<double>(n + 1);
  c.Expect("add_cross_attention", false);
  return config;
}

}  // namespace

std::vector<const Family*> Gpt2Families() {
  static const Family family = {.model_type = "gpt2",
                                .prefixes = {"transformer.", ""},
                                .embedding = "wte",
                                .positions = "wpe",
                                .final_norm = "ln_f",
                                .head = "lm_head",
                                .layers = "h.",
                                .input_norm = "ln_1",
                                .feed_forward_norm = "ln_2",
                                .qkv = {"attn.c_attn"},
                                .output = "attn.c_proj",
                                .up = "mlp.c_fc",
                                .down = "mlp.c_proj",
                                .qkv_layout = QkvLayout::kMerged,
                                .bias = true,
                                .transposed = true,
                                .buffers = {".attn.bias", ".attn.masked_bias"},
                                .read = Read};
  return {&family};
}

}  // namespace sink
