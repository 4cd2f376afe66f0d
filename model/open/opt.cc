// OPT (Zhang et al. 2205.01068): learned positions whose table has two rows before the first token's, ReLU, tied head.
// The 350m model normalises after each block, has no final norm, and projects embeddings of half the width.
#include "model/open/config_reader.h"

namespace sink {
namespace {

OpenConfig Read(const ConfigReader& c) {
  OpenConfig config;
  config.layers = c.Layers("num_hidden_layers");
  config.hidden_size = c.Size("hidden_size");
  config.heads = c.Heads("num_attention_heads", config.hidden_size);
  config.intermediate_size = c.Size("ffn_dim");
  config.vocab_size = c.Size("vocab_size");
  config.max_positions = c.Size("max_position_embeddings");
  config.embedding_size = c.SizeOr("word_embed_proj_dim", config.hidden_size);
  config.activation = c.Activation("activation_function", "relu");
  const bool before = c.FlagOr("do_layer_norm_before", true);
  config.wiring = before ? Wiring::kPreNorm : Wiring::kPostNorm;
  config.final_norm = before && !c.FlagOr("_remove_final_layer_norm", false);
  config.tied = c.FlagOr("tie_word_embeddings", true);
  c.Expect("enable_bias", true);
  c.Expect("layer_norm_elementwise_affine", true);
  return config;
}

}  // namespace

std::vector<const Family*> OptFamilies() {
  static const Family family = {.model_type = "opt",
                                .prefixes = {"model.decoder.", "decoder.", ""},
                                .embedding = "embed_tokens",
                                .positions = "embed_positions",
                                .project_in = "project_in",
                                .project_out = "project_out",
                                .final_norm = "final_layer_norm",
                                .head = "lm_head",
                                .layers = "layers.",
                                .input_norm = "self_attn_layer_norm",
                                .feed_forward_norm = "final_layer_norm",
                                .qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
                                .output = "self_attn.out_proj",
                                .up = "fc1",
                                .down = "fc2",
                                .bias = true,
                                .position_offset = 2,
                                .read = Read};
  return {&family};
}

}  // namespace sink
