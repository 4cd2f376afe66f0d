// gpt-oss (2508.10925): a mixture of experts in every layer, layers with and without a window in turns, YaRN, and in
// every head a learned logit that takes part in the softmax without a value. Its published files hold experts in MXFP4.
#include "model/open/config_reader.h"
#include "model/storage/mxfp4.h"

namespace sink {
namespace {

OpenConfig Read(const ConfigReader& c) {
  OpenConfig config;
  config.layers = c.Layers("num_hidden_layers");
  config.hidden_size = c.Size("hidden_size");
  config.heads = c.Size("num_attention_heads");
  config.head_dim = c.SizeOr("head_dim", 64, config.hidden_size / config.heads);
  config.key_value_heads = c.SizeOr("num_key_value_heads", 8, config.heads);
  config.intermediate_size = c.Size("intermediate_size");
  config.vocab_size = c.Size("vocab_size");
  config.norm_epsilon = c.NumberOr("rms_norm_eps", 1e-5);
  config.tied = c.FlagOr("tie_word_embeddings", false);
  config.qkv_bias = config.output_bias = c.FlagOr("attention_bias", true);
  config.kinds = c.Kinds(config.layers, c.SizeOr("sliding_window", 128, 0), [](int64_t n) { return n % 2 == 0; });
  config.expert_kind = ExpertKind::kMerged;
  config.experts = c.SizeOr("num_local_experts", 128);
  config.experts_per_token = c.SizeOr("num_experts_per_tok", 4);
  if (c.NumberOr("swiglu_alpha", 1.702) != 1.702 || c.NumberOr("swiglu_limit", 7) != 7)
    c.Fail("swiglu_alpha and swiglu_limit other than 1.702 and 7 are not supported");
  if (c.Has("quantization_config")) {
    const std::string method = c.Part("quantization_config").TextOr("quant_method", "");
    if (method != "mxfp4")
      c.Fail("quantization_config of the method \"" + method.substr(0, 40) + "\" is not read; mxfp4 is");
    if (config.hidden_size % kMxfp4Values != 0 || config.intermediate_size % kMxfp4Values != 0)
      c.Fail("experts in MXFP4 need hidden_size and intermediate_size to be multiples of 32");
    config.experts_in_mxfp4 = true;
  }
  if (!c.Has("rope_parameters") && !c.Has("rope_scaling")) c.Fail("no field \"rope_parameters\"");
  config.ropes = {c.Rope(
      {.head_dim = config.head_dim, .max_positions = c.SizeOr("max_position_embeddings", 131072), .theta = 150000})};
  return config;
}

}  // namespace

std::vector<const Family*> GptOssFamilies() {
  static const Family family = {.model_type = "gpt_oss",
                                .prefixes = {"model.", ""},
                                .embedding = "embed_tokens",
                                .final_norm = "norm",
                                .head = "lm_head",
                                .layers = "layers.",
                                .input_norm = "input_layernorm",
                                .feed_forward_norm = "post_attention_layernorm",
                                .qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
                                .output = "self_attn.o_proj",
                                .router = "mlp.router",
                                .experts = "mlp.experts",
                                .sinks = "self_attn.sinks",
                                .norm = NormKind::kRmsNorm,
                                .read = Read};
  return {&family};
}

}  // namespace sink
