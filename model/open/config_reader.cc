#include "model/open/config_reader.h"

#include <cmath>
#include <utility>

#include "model/base/model_error.h"
#include "model/open/json_file.h"

namespace sink {

using nlohmann::json;

ConfigReader ConfigReader::Open(const std::filesystem::path& directory) {
  if (!std::filesystem::is_directory(directory)) throw ModelError(directory.string() + ": not a model directory");
  const std::filesystem::path path = directory / "config.json";
  return ConfigReader(path.string(), ReadJsonObject(path, kMaxConfigMebibytes));
}

ConfigReader::ConfigReader(std::string name, json root) : name_(std::move(name)), root_(std::move(root)) {
  if (!root_.is_object()) Fail("not a JSON object");
}

void ConfigReader::Fail(const std::string& what) const { throw ModelError(name_ + ": " + what); }

const json* ConfigReader::Find(const char* field) const {
  const auto found = root_.find(field);
  return found == root_.end() || found->is_null() ? nullptr : &*found;
}

bool ConfigReader::Has(const char* field) const { return Find(field) != nullptr; }

int64_t ConfigReader::Size(const char* field) const {
  if (!Has(field)) Fail(std::string("no field \"") + field + "\"");
  return SizeOr(field, 0);
}

int64_t ConfigReader::SizeOr(const char* field, int64_t otherwise) const {
  const json* value = Find(field);
  if (value == nullptr) return otherwise;
  if (!value->is_number_unsigned() || value->get<uint64_t>() < 1 || value->get<uint64_t>() > kMaxModelSize)
    Fail(std::string(field) + " must be a whole number from 1 to " + std::to_string(kMaxModelSize));
  return value->get<int64_t>();
}

double ConfigReader::NumberOr(const char* field, double otherwise) const {
  const json* value = Find(field);
  if (value == nullptr) return otherwise;
  if (!value->is_number() || !std::isfinite(value->get<double>()) || value->get<double>() <= 0)
    Fail(std::string(field) + " must be a positive number");
  return value->get<double>();
}

bool ConfigReader::FlagOr(const char* field, bool otherwise) const {
  const json* value = Find(field);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) Fail(std::string(field) + " must be true or false");
  return value->get<bool>();
}

std::string ConfigReader::TextOr(const char* field, const std::string& otherwise) const {
  const json* value = Find(field);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) Fail(std::string(field) + " must be a string");
  return value->get<std::string>();
}

OpenActivation ConfigReader::Activation(const char* field, const std::string& otherwise) const {
  const std::string name = TextOr(field, otherwise);
  if (name == "silu" || name == "swish") return OpenActivation::kSilu;
  if (name == "gelu") return OpenActivation::kGelu;
  if (name == "gelu_new" || name == "gelu_fast" || name == "gelu_pytorch_tanh") return OpenActivation::kGeluTanh;
  if (name == "relu") return OpenActivation::kRelu;
  Fail(std::string(field) + " \"" + name.substr(0, 40) + "\" is not supported");
}

RopeConfig ConfigReader::Rope(int64_t head_dim, double theta, double share) const {
  RopeConfig rope{.theta = NumberOr("rope_theta", theta)};
  // transformers 5 keeps everything in rope_parameters, version 4 the scaling alone in rope_scaling.
  const json* object = Has("rope_parameters") ? Find("rope_parameters") : Find("rope_scaling");
  if (object != nullptr) {
    const ConfigReader inner(name_, object->is_object() ? *object : json());
    rope.theta = inner.NumberOr("rope_theta", rope.theta);
    share = inner.NumberOr("partial_rotary_factor", share);
    const std::string type = inner.TextOr("rope_type", inner.TextOr("type", "default"));
    if (type == "llama3") {
      const RopeScaling d;
      rope.scaling = {.factor = inner.NumberOr("factor", d.factor),
                      .low_frequency_factor = inner.NumberOr("low_freq_factor", d.low_frequency_factor),
                      .high_frequency_factor = inner.NumberOr("high_freq_factor", d.high_frequency_factor),
                      .original_positions = inner.SizeOr("original_max_position_embeddings", d.original_positions)};
      if (rope.scaling->high_frequency_factor <= rope.scaling->low_frequency_factor)
        Fail("high_freq_factor must be greater than low_freq_factor");
    } else if (type != "default") {
      Fail("rope_type \"" + type.substr(0, 40) + "\" is not supported");
    }
  }
  if (share > 1) Fail("the rotated share of a head must be at most 1");
  rope.dims = static_cast<int64_t>(static_cast<double>(head_dim) * share);
  if (rope.dims < 2 || rope.dims % 2 != 0) Fail("RoPE must rotate an even number of a head's dimensions");
  return rope;
}

int64_t ConfigReader::Heads(const char* field, int64_t hidden_size) const {
  const int64_t heads = Size(field);
  if (hidden_size % heads != 0) Fail(std::string(field) + " must divide the hidden size");
  return heads;
}

void ConfigReader::Expect(const char* field, bool value) const {
  if (FlagOr(field, value) != value) Fail(std::string(field) + (value ? " false" : " true") + " is not supported");
}

const Family* FindFamily(const std::string& model_type) {
  for (const Family* family : {&Gpt2Family(), &GptNeoxFamily(), &LlamaFamily(), &MistralFamily(), &OptFamily()})
    if (family->model_type == model_type) return family;
  return nullptr;
}

OpenConfig ReadOpenConfig(const std::filesystem::path& directory) {
  return ReadOpenConfig(ConfigReader::Open(directory));
}

OpenConfig ReadOpenConfig(const ConfigReader& reader) {
  const std::string model_type = reader.TextOr("model_type", "");
  const Family* family = FindFamily(model_type);
  if (family == nullptr)
    reader.Fail("model_type \"" + model_type.substr(0, 40) + "\" is none of gpt2, gpt_neox, llama, mistral and opt");
  OpenConfig config = family->read(reader);
  config.family = family;
  if (config.key_value_heads == 0) config.key_value_heads = config.heads;
  if (config.head_dim == 0) config.head_dim = config.hidden_size / config.heads;
  if (config.embedding_size == 0) config.embedding_size = config.hidden_size;
  if (config.heads % config.key_value_heads != 0) reader.Fail("num_key_value_heads must divide num_attention_heads");
  if (config.layers > 10000) reader.Fail("over 10,000 layers");
  return config;
}

bool IsOpenModel(const std::filesystem::path& directory) {
  const ConfigReader reader = ConfigReader::Open(directory);
  const std::string model_type = reader.TextOr("model_type", "");
  return FindFamily(model_type) != nullptr && (model_type != "llama" || reader.Has("transformers_version"));
}

}  // namespace sink
