// The 30 open models of the study (Gu et al., ICLR 2025, table 8) at their true shapes, two layers each: files of zeros
// that take no disk, with the names, types and config.json fields that these models have on Hugging Face. With zeros,
// every query attends alike to all it sees and all logits are 0, so that the metric and the loss are known.
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/eval/sink_metric.h"
#include "model/open/open_model.h"
#include "tests/model/helpers/open_folder.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

using nlohmann::json;
using Shape = std::vector<int64_t>;

constexpr int64_t kLayers = 2, kTokens = 64;

// config.json, and the tensors: names to shapes.
struct Model {
  std::string ids;  // that share this shape
  std::string dtype;
  json config;
  std::map<std::string, Shape> tensors;
};

Model Gpt2(const char* ids, int64_t heads, int64_t c) {
  Model m{ids, "F32", {{"model_type", "gpt2"}, {"n_layer", kLayers}, {"n_head", heads}, {"n_embd", c}}, {}};
  m.config.update({{"n_positions", 1024}, {"vocab_size", 50257}, {"activation_function", "gelu_new"}});
  m.tensors = {{"wte.weight", {50257, c}}, {"wpe.weight", {1024, c}}, {"ln_f.weight", {c}}, {"ln_f.bias", {c}}};
  for (int64_t n = 0; n < kLayers; ++n) {
    const std::string h = "h." + std::to_string(n) + ".";
    for (const char* norm : {"ln_1", "ln_2"}) m.tensors[h + norm + ".weight"] = m.tensors[h + norm + ".bias"] = {c};
    m.tensors[h + "attn.bias"] = {1, 1, 1024, 1024};
    m.tensors[h + "attn.c_attn.weight"] = {c, 3 * c};
    m.tensors[h + "attn.c_attn.bias"] = {3 * c};
    m.tensors[h + "attn.c_proj.weight"] = {c, c};
    m.tensors[h + "attn.c_proj.bias"] = {c};
    m.tensors[h + "mlp.c_fc.weight"] = {c, 4 * c};
    m.tensors[h + "mlp.c_fc.bias"] = {4 * c};
    m.tensors[h + "mlp.c_proj.weight"] = {4 * c, c};
    m.tensors[h + "mlp.c_proj.bias"] = {c};
  }
  return m;
}

Model Llama(const char* ids, const char* type, int64_t heads, int64_t kv, int64_t c, int64_t f, int64_t v,
            const json& more) {
  Model m{ids, kv == heads ? "F16" : "BF16", {{"model_type", type}, {"num_hidden_layers", kLayers}}, {}};
  m.config.update({{"hidden_size", c}, {"intermediate_size", f}, {"vocab_size", v}, {"num_attention_heads", heads}});
  m.config.update({{"num_key_value_heads", kv}, {"rms_norm_eps", 1e-5}, {"transformers_version", "4.40.0"}});
  m.config.update(more);
  const int64_t d = c / heads * kv;
  m.tensors = {{"model.embed_tokens.weight", {v, c}}, {"lm_head.weight", {v, c}}, {"model.norm.weight", {c}}};
  for (int64_t n = 0; n < kLayers; ++n) {
    const std::string layer = "model.layers." + std::to_string(n) + ".";
    m.tensors[layer + "input_layernorm.weight"] = m.tensors[layer + "post_attention_layernorm.weight"] = {c};
    m.tensors[layer + "self_attn.q_proj.weight"] = m.tensors[layer + "self_attn.o_proj.weight"] = {c, c};
    m.tensors[layer + "self_attn.k_proj.weight"] = m.tensors[layer + "self_attn.v_proj.weight"] = {d, c};
    m.tensors[layer + "mlp.gate_proj.weight"] = m.tensors[layer + "mlp.up_proj.weight"] = {f, c};
    m.tensors[layer + "mlp.down_proj.weight"] = {c, f};
    if (v == 32000 && kv == heads) m.tensors[layer + "self_attn.rotary_emb.inv_freq"] = {c / heads / 2};
  }
  return m;
}

Model Pythia(const char* ids, int64_t heads, int64_t c, int64_t v = 50304) {
  Model m{ids, "F16", {{"model_type", "gpt_neox"}, {"num_hidden_layers", kLayers}, {"hidden_size", c}}, {}};
  m.config.update({{"num_attention_heads", heads}, {"intermediate_size", 4 * c}, {"vocab_size", v}});
  m.config.update({{"rotary_pct", 0.25}, {"rotary_emb_base", 10000}, {"use_parallel_residual", true}});
  m.tensors = {{"gpt_neox.embed_in.weight", {v, c}}, {"embed_out.weight", {v, c}}};
  m.tensors["gpt_neox.final_layer_norm.weight"] = m.tensors["gpt_neox.final_layer_norm.bias"] = {c};
  for (int64_t n = 0; n < kLayers; ++n) {
    const std::string layer = "gpt_neox.layers." + std::to_string(n) + ".";
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
      m.tensors[layer + norm + ".weight"] = m.tensors[layer + norm + ".bias"] = {c};
    m.tensors[layer + "attention.bias"] = {1, 1, 2048, 2048};
    m.tensors[layer + "attention.masked_bias"] = {};
    m.tensors[layer + "attention.rotary_emb.inv_freq"] = {c / heads / 8};
    m.tensors[layer + "attention.query_key_value.weight"] = {3 * c, c};
    m.tensors[layer + "attention.query_key_value.bias"] = {3 * c};
    m.tensors[layer + "attention.dense.weight"] = {c, c};
    m.tensors[layer + "attention.dense.bias"] = {c};
    m.tensors[layer + "mlp.dense_h_to_4h.weight"] = {4 * c, c};
    m.tensors[layer + "mlp.dense_h_to_4h.bias"] = {4 * c};
    m.tensors[layer + "mlp.dense_4h_to_h.weight"] = {c, 4 * c};
    m.tensors[layer + "mlp.dense_4h_to_h.bias"] = {c};
  }
  return m;
}

Model Opt(const char* ids, int64_t heads, int64_t c, int64_t e) {
  Model m{ids, "F16", {{"model_type", "opt"}, {"num_hidden_layers", kLayers}, {"hidden_size", c}}, {}};
  m.config.update({{"num_attention_heads", heads}, {"ffn_dim", 4 * c}, {"vocab_size", 50272}});
  m.config.update({{"max_position_embeddings", 2048}, {"word_embed_proj_dim", e}, {"do_layer_norm_before", e == c}});
  const std::string at = "model.decoder.";
  m.tensors = {{at + "embed_tokens.weight", {50272, e}}, {at + "embed_positions.weight", {2050, c}}};
  if (e == c) m.tensors[at + "final_layer_norm.weight"] = m.tensors[at + "final_layer_norm.bias"] = {c};
  if (e != c) m.tensors[at + "project_in.weight"] = {c, e};
  if (e != c) m.tensors[at + "project_out.weight"] = {e, c};
  for (int64_t n = 0; n < kLayers; ++n) {
    const std::string layer = at + "layers." + std::to_string(n) + ".";
    for (const char* norm : {"self_attn_layer_norm", "final_layer_norm"})
      m.tensors[layer + norm + ".weight"] = m.tensors[layer + norm + ".bias"] = {c};
    for (const char* map : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      m.tensors[layer + "self_attn." + map + ".weight"] = {c, c};
      m.tensors[layer + "self_attn." + map + ".bias"] = {c};
    }
    m.tensors[layer + "fc1.weight"] = {4 * c, c};
    m.tensors[layer + "fc1.bias"] = {4 * c};
    m.tensors[layer + "fc2.weight"] = {c, 4 * c};
    m.tensors[layer + "fc2.bias"] = {c};
  }
  return m;
}

std::vector<Model> Models() {
  const json llama3 = {{"rope_theta", 500000.0}, {"max_position_embeddings", 8192}};
  const json scaling = {{"factor", 8.0},
                        {"low_freq_factor", 1.0},
                        {"high_freq_factor", 4.0},
                        {"original_max_position_embeddings", 8192},
                        {"rope_type", "llama3"}};
  json llama31 = {{"rope_theta", 500000.0}, {"max_position_embeddings", 131072}, {"rope_scaling", scaling}};
  llama31["eos_token_id"] = {128001, 128008, 128009};
  const json llama2 = {{"max_position_embeddings", 4096}, {"rope_scaling", nullptr}, {"pretraining_tp", 1}};
  const json mistral = {{"sliding_window", 4096}, {"max_position_embeddings", 32768}, {"rope_theta", 10000.0}};
  return {Gpt2("gpt2", 12, 768),
          Gpt2("gpt2-medium", 16, 1024),
          Gpt2("gpt2-large", 20, 1280),
          Gpt2("gpt2-xl", 25, 1600),
          Llama("Llama-2-7b-hf, Llama-2-7b-chat-hf", "llama", 32, 32, 4096, 11008, 32000, llama2),
          Llama("Llama-2-13b-hf, Llama-2-13b-chat-hf", "llama", 40, 40, 5120, 13824, 32000, llama2),
          Llama("Meta-Llama-3-8B, Meta-Llama-3-8B-Instruct", "llama", 32, 8, 4096, 14336, 128256, llama3),
          Llama("Meta-Llama-3.1-8B, Meta-Llama-3.1-8B-Instruct", "llama", 32, 8, 4096, 14336, 128256, llama31),
          Llama("Mistral-7B-v0.1, Mistral-7B-Instruct-v0.1", "mistral", 32, 8, 4096, 14336, 32000, mistral),
          Pythia("pythia-14m", 4, 128),
          Pythia("pythia-31m", 8, 256),
          Pythia("pythia-70m", 8, 512),
          Pythia("pythia-160m", 12, 768),
          Pythia("pythia-410m", 16, 1024),
          Pythia("pythia-1b", 8, 2048),
          Pythia("pythia-1.4b", 16, 2048),
          Pythia("pythia-2.8b", 32, 2560),
          Pythia("pythia-6.9b", 32, 4096, 50432),
          Pythia("pythia-12b", 40, 5120, 50688),
          Opt("opt-125m", 12, 768, 768),
          Opt("opt-350m", 16, 1024, 512),
          Opt("opt-1.3b", 32, 2048, 2048),
          Opt("opt-2.7b", 32, 2560, 2560),
          Opt("opt-6.7b", 32, 4096, 4096),
          Opt("opt-13b", 40, 5120, 5120)};
}

// A safetensors file whose tensors are holes in the file: zeros that take no disk.
void WriteZeros(const std::filesystem::path& path, const Model& model) {
  json header = json::object();
  uint64_t offset = 0;
  for (const auto& [name, shape] : model.tensors) {
    uint64_t bytes = model.dtype == "F32" ? 4 : 2;
    for (const int64_t size : shape) bytes *= static_cast<uint64_t>(size);
    header[name] = {{"dtype", model.dtype}, {"shape", shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(text.size() >> (8 * i));
  testing::WriteBytes(path, bytes + text);
  std::filesystem::resize_file(path, 8 + text.size() + offset);
}

TEST(OpenModelShapes, AreThirty) {
  size_t count = 0;
  for (const Model& model : Models()) count += model.ids.find(',') == std::string::npos ? 1 : 2;
  EXPECT_EQ(count, 30u);
}

class OpenModelShapes : public ::testing::TestWithParam<Model> {};

TEST_P(OpenModelShapes, AreReadAndMeasured) {
  const Model& m = GetParam();
  const testing::TempDir folder;
  testing::WriteBytes(folder.path() / "config.json", m.config.dump());
  WriteZeros(folder.path() / "model.safetensors", m);
  OpenModel model(folder.path());
  const at::Tensor tokens = at::full({2, kTokens}, 17, at::TensorOptions().dtype(at::kLong));
  SinkMeter meter(model.Sizes(), 2, kTokens, {});
  const at::Tensor states = model.Stream(tokens, meter);
  const double loss = model.Loss(states, tokens);
  EXPECT_NEAR(loss, std::log(static_cast<double>(model.config().vocab_size)), 1e-4);
  const SinkReport report = meter.Report();
  double harmonic = 0;
  for (int64_t t = 1; t <= kTokens; ++t) harmonic += 1 / static_cast<double>(t);
  const at::Tensor& alpha = report.first_importance;
  EXPECT_EQ(alpha.size(0), kLayers);
  EXPECT_EQ(alpha.size(1), model.config().heads);
  EXPECT_NEAR(alpha.min().item<double>(), harmonic / kTokens, 1e-6);
  EXPECT_NEAR(alpha.max().item<double>(), harmonic / kTokens, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(All, OpenModelShapes, ::testing::ValuesIn(Models()), [](const auto& info) {
  std::string name = info.param.ids.substr(0, info.param.ids.find(','));
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
});

}  // namespace
}  // namespace sink
