// LLaMA (Touvron et al. 2307.09288, Grattafiori et al. 2407.21783) and the families that are built like it: RMSNorm,
// RoPE, SwiGLU, grouped keys and values. Each adds a little: Mistral (2310.06825) a window, Mixtral (2401.04088)
// experts, Qwen2 (2407.10671) biases of queries, keys and values, Qwen3 (2505.09388) norms of queries and keys,
// SmolLM3 layers without positions, Granite multipliers, OLMo 2 (2501.00656) norms of what blocks add instead of what
// they read, Phi-3 (2404.14219) merged matrices, StableLM (2402.17834) LayerNorm.
#include "model/open/config_reader.h"

namespace sink {
namespace {

RopeReading Reading(const ConfigReader& c, const OpenConfig& config, int64_t max_positions) {
  return {.head_dim = config.head_dim, .max_positions = c.SizeOr("max_position_embeddings", max_positions)};
}

// All but what positions are. Where nothing says otherwise there are as many key/value heads as heads, and they are as
// wide as hidden_size makes them.
OpenConfig Sizes(const ConfigReader& c, int64_t key_value_heads = 0, int64_t head_dim = 0) {
  OpenConfig config;
  config.layers = c.Layers("num_hidden_layers");
  config.hidden_size = c.Size("hidden_size");
  const bool wide = c.Has("head_dim") || head_dim != 0;
  config.heads = wide ? c.Size("num_attention_heads") : c.Heads("num_attention_heads", config.hidden_size);
  config.head_dim = c.SizeOr("head_dim", head_dim != 0 ? head_dim : config.hidden_size / config.heads);
  config.key_value_heads =
      c.SizeOr("num_key_value_heads", key_value_heads == 0 ? config.heads : key_value_heads, config.heads);
  config.intermediate_size = c.Size("intermediate_size");
  config.vocab_size = c.Size("vocab_size");
  config.norm_epsilon = c.NumberOr("rms_norm_eps", 1e-6);
  config.activation = c.Activation("hidden_act", "silu");
  config.tied = c.FlagOr("tie_word_embeddings", false);
  return config;
}

void ReadAttentionBias(const ConfigReader& c, OpenConfig& config) {
  config.qkv_bias = config.output_bias = c.FlagOr("attention_bias", false);
}

OpenConfig ReadLlama(const ConfigReader& c) {
  OpenConfig config = Sizes(c);
  config.ropes = {c.Rope(Reading(c, config, 2048))};
  ReadAttentionBias(c, config);
  config.feed_forward_bias = c.FlagOr("mlp_bias", false);
  return config;
}

OpenConfig ReadMistral(const ConfigReader& c) {
  OpenConfig config = Sizes(c, 8);
  config.ropes = {c.Rope(Reading(c, config, 131072))};
  config.kinds = c.Kinds(config.layers, c.SizeOr("sliding_window", 4096, 0), [](int64_t) { return true; });
  return config;
}

OpenConfig ReadMixtral(const ConfigReader& c) {
  OpenConfig config = Sizes(c, 8);
  RopeReading reading = Reading(c, config, 131072);
  reading.theta = 1e6;
  config.ropes = {c.Rope(reading)};
  config.norm_epsilon = c.NumberOr("rms_norm_eps", 1e-5);
  config.kinds = c.Kinds(config.layers, c.SizeOr("sliding_window", 0), [](int64_t) { return true; });
  config.expert_kind = ExpertKind::kSeparate;
  config.experts = c.SizeOr("num_local_experts", 8);
  config.experts_per_token = c.SizeOr("num_experts_per_tok", 2);
  return config;
}

// The upper layers of a model of Qwen's may have a window.
void ReadUpperWindow(const ConfigReader& c, OpenConfig& config) {
  const int64_t window = c.FlagOr("use_sliding_window", false) ? c.SizeOr("sliding_window", 4096, 0) : 0;
  const int64_t first = c.SizeOr("max_window_layers", 28);
  config.kinds = c.Kinds(config.layers, window, [&](int64_t layer) { return layer >= first; });
}

OpenConfig ReadQwen2(const ConfigReader& c) {
  OpenConfig config = Sizes(c, 32);
  config.ropes = {c.Rope(Reading(c, config, 32768))};
  config.qkv_bias = true;
  ReadUpperWindow(c, config);
  return config;
}

OpenConfig ReadQwen3(const ConfigReader& c) {
  OpenConfig config = Sizes(c, 32, 128);
  config.ropes = {c.Rope(Reading(c, config, 32768))};
  config.query_key_norm = QueryKeyNorm::kHead;
  ReadAttentionBias(c, config);
  ReadUpperWindow(c, config);
  return config;
}

OpenConfig ReadSmolLm3(const ConfigReader& c) {
  OpenConfig config = Sizes(c, 4);
  config.tied = c.FlagOr("tie_word_embeddings", true);
  RopeReading reading = Reading(c, config, 32768);
  reading.theta = 2e6;
  config.ropes = {c.Rope(reading)};
  ReadAttentionBias(c, config);
  config.feed_forward_bias = c.FlagOr("mlp_bias", false);
  const std::vector<bool> listed = c.Flags("no_rope_layers", config.layers);  // 1: with RoPE
  const int64_t interval = c.SizeOr("no_rope_layer_interval", 4);
  const auto turns = [&](int64_t n) {
    return listed.empty() ? (n + 1) % interval != 0 : bool{listed[static_cast<size_t>(n)]};
  };
  const int64_t window = c.SizeOr("sliding_window", 0);
  const bool slides = c.FlagOr("use_sliding_window", false);
  config.kinds = c.Kinds(config.layers, window, [&](int64_t n) { return slides && !turns(n); });
  for (int64_t n = 0; n < config.layers; ++n)
    if (!turns(n)) config.kinds[static_cast<size_t>(n)].rope = -1;
  return config;
}

OpenConfig ReadGranite(const ConfigReader& c) {
  OpenConfig config = ReadLlama(c);
  config.embedding_scale = c.NumberOr("embedding_multiplier", 1);
  config.score_scale = c.NumberOr("attention_multiplier", 1);
  config.residual_scale = c.NumberOr("residual_multiplier", 1);
  config.logit_scale = 1 / c.NumberOr("logits_scaling", 1);
  return config;
}

OpenConfig ReadOlmo2(const ConfigReader& c) {
  OpenConfig config = Sizes(c);
  config.ropes = {c.Rope(Reading(c, config, 2048))};
  config.norm_epsilon = c.NumberOr("rms_norm_eps", 1e-5);
  config.query_key_norm = QueryKeyNorm::kWhole;
  ReadAttentionBias(c, config);
  return config;
}

OpenConfig ReadPhi3(const ConfigReader& c) {
  OpenConfig config = Sizes(c);
  RopeReading reading = Reading(c, config, 4096);
  reading.partial = true;
  reading.original_positions = 4096;
  reading.long_rope = true;
  config.ropes = {c.Rope(reading)};
  config.norm_epsilon = c.NumberOr("rms_norm_eps", 1e-5);
  config.kinds = c.Kinds(config.layers, c.SizeOr("sliding_window", 0), [](int64_t) { return true; });
  return config;
}

// With parallel residuals both blocks read one norm.
const Family& ParallelStableLm();

OpenConfig ReadStableLm(const ConfigReader& c) {
  OpenConfig config = Sizes(c, 32);
  RopeReading reading = Reading(c, config, 4096);
  reading.partial = true;
  reading.share = 0.25;
  config.ropes = {c.Rope(reading)};
  config.norm_epsilon = c.NumberOr("layer_norm_eps", 1e-5);
  config.qkv_bias = c.FlagOr("use_qkv_bias", false);
  if (c.FlagOr("qk_layernorm", false)) config.query_key_norm = QueryKeyNorm::kEachHead;
  if (c.FlagOr("use_parallel_residual", false)) {
    config.wiring = Wiring::kParallel;
    config.family = &ParallelStableLm();
  }
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
          .query_norm = "self_attn.q_norm",
          .key_norm = "self_attn.k_norm",
          .qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
          .output = "self_attn.o_proj",
          .gate = "mlp.gate_proj",
          .up = "mlp.up_proj",
          .down = "mlp.down_proj",
          .norm = NormKind::kRmsNorm,
          .buffers = {".rotary_emb.inv_freq"},
          .read = read};
}

Family MixtralTable() {
  Family family = Table("mixtral", ReadMixtral);
  family.gate = family.up = family.down = "";
  family.router = "block_sparse_moe.gate";
  family.experts = "block_sparse_moe.experts";
  return family;
}

Family Olmo2Table() {
  Family family = Table("olmo2", ReadOlmo2);
  family.input_norm = family.feed_forward_norm = "";
  family.attention_out_norm = "post_attention_layernorm";
  family.feed_forward_out_norm = "post_feedforward_layernorm";
  return family;
}

Family Phi3Table() {
  Family family = Table("phi3", ReadPhi3);
  family.qkv = {"self_attn.qkv_proj"};
  family.qkv_layout = QkvLayout::kMerged;
  family.gate = family.up = "";
  family.gate_up = "mlp.gate_up_proj";
  return family;
}

Family StableLmTable() {
  Family family = Table("stablelm", ReadStableLm);
  family.norm = NormKind::kLayerNorm;
  family.query_norm = "self_attn.q_layernorm.norms";
  family.key_norm = "self_attn.k_layernorm.norms";
  return family;
}

const Family& ParallelStableLm() {
  static const Family family = [] {
    Family table = StableLmTable();
    table.feed_forward_norm = "";
    return table;
  }();
  return family;
}

}  // namespace

std::vector<const Family*> LlamaFamilies() {
  static const std::vector<Family> families = {Table("llama", ReadLlama),
                                               Table("mistral", ReadMistral),
                                               Table("ministral", ReadMistral),
                                               MixtralTable(),
                                               Table("qwen2", ReadQwen2),
                                               Table("qwen3", ReadQwen3),
                                               Table("smollm3", ReadSmolLm3),
                                               Table("granite", ReadGranite),
                                               Olmo2Table(),
                                               Phi3Table(),
                                               StableLmTable()};
  std::vector<const Family*> all;
  for (const Family& family : families) all.push_back(&family);
  return all;
}

}  // namespace sink
