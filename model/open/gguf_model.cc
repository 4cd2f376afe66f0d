#include "model/open/gguf_model.h"

#include <cmath>
#include <cstring>

#include "model/base/model_error.h"
#include "model/open/config_reader.h"
#include "model/storage/gguf_blocks.h"

namespace sink {
namespace {

const Family& Table() {
  static const Family family = {.model_type = "llama",
                                .prefixes = {""},
                                .embedding = "token_embd",
                                .final_norm = "output_norm",
                                .head = "output",
                                .layers = "blk.",
                                .input_norm = "attn_norm",
                                .feed_forward_norm = "ffn_norm",
                                .qkv = {"attn_q", "attn_k", "attn_v"},
                                .output = "attn_output",
                                .gate = "ffn_gate",
                                .up = "ffn_up",
                                .down = "ffn_down",
                                .norm = NormKind::kRmsNorm,
                                .buffers = {"rope_freqs.weight"}};
  return family;
}

// Metadata of the architecture, with the checks of config.json's fields.
class Metadata {
 public:
  Metadata(const GgufContent& content, const std::string& name) : content_(content), name_(name) {}

  [[noreturn]] void Fail(const std::string& what) const { throw ModelError(name_ + ": " + what); }
  static std::string Key(const char* field) { return std::string("llama.") + field; }

  int64_t Size(const char* field, int64_t otherwise) const {
    const int64_t value = content_.Integer(Key(field)).value_or(otherwise);
    if (value < 1 || value > kMaxModelSize) Fail(Key(field) + " must be from 1 to " + std::to_string(kMaxModelSize));
    return value;
  }
  double Number(const char* field, double otherwise) const {
    const double value = content_.Number(Key(field)).value_or(otherwise);
    if (!std::isfinite(value) || value <= 0) Fail(Key(field) + " must be a positive number");
    return value;
  }

 private:
  const GgufContent& content_;
  const std::string& name_;
};

// LLaMA 3.1's frequencies come as a tensor of divisors.
void ReadDivisors(const GgufContent& content, const Metadata& metadata, RopeConfig& rope) {
  const auto found = content.tensors.find("rope_freqs.weight");
  if (found == content.tensors.end()) return;
  const SafetensorsView& view = found->second;
  if (view.dtype != "F32" || view.shape != std::vector<int64_t>{rope.dims / 2})
    metadata.Fail("rope_freqs.weight is not a number for each pair");
  std::vector<float> factors(static_cast<size_t>(rope.dims / 2));
  std::memcpy(factors.data(), view.data.data(), view.data.size());
  rope.scaling = RopeScaling::kLongRope;
  rope.short_factors.assign(factors.begin(), factors.end());
  rope.long_factors = rope.short_factors;
  for (const double factor : rope.short_factors)
    if (!std::isfinite(factor) || factor <= 0) metadata.Fail("rope_freqs.weight must hold positive numbers");
}

RopeConfig ReadRope(const GgufContent& content, const Metadata& metadata, int64_t head_dim) {
  RopeConfig rope{.dims = metadata.Size("rope.dimension_count", head_dim),
                  .theta = metadata.Number("rope.freq_base", 1e4),
                  .interleaved = true,
                  .max_positions = metadata.Size("context_length", 2048)};
  if (rope.dims > head_dim || rope.dims % 2 != 0)
    metadata.Fail("RoPE must rotate an even number of a head's dimensions");
  const std::string* type = content.Text("llama.rope.scaling.type");
  if (type != nullptr && *type == "linear") {
    rope.scaling = RopeScaling::kLinear;
    rope.factor = metadata.Number("rope.scaling.factor", 1);
  } else if (type != nullptr && *type != "none") {
    metadata.Fail("rope.scaling.type \"" + type->substr(0, 40) + "\" is not supported");
  }
  ReadDivisors(content, metadata, rope);
  return rope;
}

}  // namespace

OpenConfig ReadGgufConfig(const GgufContent& content, const std::string& name) {
  const Metadata metadata(content, name);
  const std::string* architecture = content.Text("general.architecture");
  if (architecture == nullptr || *architecture != "llama")
    metadata.Fail("the architecture \"" + (architecture == nullptr ? "" : architecture->substr(0, 40)) +
                  "\" of a GGUF file is not read; llama is");
  if (content.Integer("llama.expert_count").value_or(0) != 0) metadata.Fail("experts in a GGUF file are not read");
  OpenConfig config;
  config.family = &Table();
  config.layers = metadata.Size("block_count", 0);
  if (config.layers > 10000) metadata.Fail("over 10,000 layers");
  config.hidden_size = config.embedding_size = metadata.Size("embedding_length", 0);
  config.heads = metadata.Size("attention.head_count", 0);
  config.key_value_heads = metadata.Size("attention.head_count_kv", config.heads);
  if (config.heads % config.key_value_heads != 0) metadata.Fail("head_count_kv must divide head_count");
  config.head_dim = metadata.Size("attention.key_length", config.hidden_size / config.heads);
  if (config.head_dim > kMaxModelSize / config.heads ||
      metadata.Size("attention.value_length", config.head_dim) != config.head_dim)
    metadata.Fail("heads of that size are not supported");
  config.intermediate_size = metadata.Size("feed_forward_length", 0);
  config.norm_epsilon = metadata.Number("attention.layer_norm_rms_epsilon", 1e-5);
  config.ropes = {ReadRope(content, metadata, config.head_dim)};
  config.kinds.resize(static_cast<size_t>(config.layers));
  config.tied = !content.tensors.contains("output.weight");
  config.qkv_bias = content.tensors.contains("blk.0.attn_q.bias");
  config.output_bias = content.tensors.contains("blk.0.attn_output.bias");
  const auto table = content.tensors.find("token_embd.weight");
  if (table == content.tensors.end() || table->second.shape.size() != 2 || table->second.shape[0] > kMaxModelSize)
    metadata.Fail("no table \"token_embd.weight\"");
  config.vocab_size = table->second.shape[0];
  return config;
}

}  // namespace sink
