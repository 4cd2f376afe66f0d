#include "model/open/config_reader.h"

#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include "model/base/model_error.h"
#include "model/open/json_file.h"

namespace sink {

using nlohmann::json;

constexpr int64_t kMaxLayers = 10000;

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

bool ConfigReader::IsNull(const char* field) const {
  const auto found = root_.find(field);
  return found != root_.end() && found->is_null();
}

int64_t ConfigReader::Size(const char* field) const {
  if (!Has(field)) Fail(std::string("no field \"") + field + "\"");
  return SizeOr(field, 0);
}

int64_t ConfigReader::SizeOr(const char* field, int64_t of_absent, int64_t of_null) const {
  const json* value = Find(field);
  if (value == nullptr) return IsNull(field) ? of_null : of_absent;
  if (!value->is_number_unsigned() || value->get<uint64_t>() < 1 || value->get<uint64_t>() > kMaxModelSize)
    Fail(std::string(field) + " must be a whole number from 1 to " + std::to_string(kMaxModelSize));
  return value->get<int64_t>();
}

double ConfigReader::Number(const char* field) const {
  if (!Has(field)) Fail(std::string("no field \"") + field + "\"");
  return NumberOr(field, 0);
}

double ConfigReader::NumberOr(const char* field, double of_absent, double of_null) const {
  const json* value = Find(field);
  if (value == nullptr) return IsNull(field) ? of_null : of_absent;
  if (!value->is_number() || !std::isfinite(value->get<double>()) || value->get<double>() <= 0)
    Fail(std::string(field) + " must be a positive number");
  return value->get<double>();
}

double ConfigReader::Scale(const char* field) const {
  const json* value = Find(field);
  return value != nullptr && *value == 0 ? 0 : NumberOr(field, 0);
}

int64_t ConfigReader::Layers(const char* field) const {
  const int64_t layers = Size(field);
  if (layers > kMaxLayers) Fail("over 10,000 layers");
  return layers;
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

ConfigReader ConfigReader::Part(const char* field) const {
  const json* value = Find(field);
  if (value == nullptr) return {name_, json::object()};
  if (!value->is_object()) Fail(std::string(field) + " must be an object");
  return {name_, *value};
}

std::vector<double> ConfigReader::Factors(const char* field, int64_t size) const {
  const json* value = Find(field);
  if (value == nullptr || !value->is_array() || static_cast<int64_t>(value->size()) != size)
    Fail(std::string(field) + " must be a list of " + std::to_string(size) + " numbers");
  std::vector<double> factors;
  for (const json& factor : *value) {
    if (!factor.is_number() || !std::isfinite(factor.get<double>()) || factor.get<double>() <= 0)
      Fail(std::string(field) + " must hold positive numbers");
    factors.push_back(factor.get<double>());
  }
  return factors;
}

void ConfigReader::ReadScaling(const ConfigReader& inner, const std::string& type, RopeConfig& rope) const {
  const auto positions = static_cast<double>(rope.max_positions);
  if (rope.original_positions == 0)
    rope.original_positions = inner.SizeOr("original_max_position_embeddings", rope.max_positions);
  const auto original = static_cast<double>(rope.original_positions);
  if (type == "linear" || type == "dynamic") {
    rope.scaling = type == "linear" ? RopeScaling::kLinear : RopeScaling::kDynamic;
    rope.factor = inner.Number("factor");
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::kLlama3;
    rope.factor = inner.Number("factor");
    rope.low = inner.Number("low_freq_factor");
    rope.high = inner.Number("high_freq_factor");
    if (rope.high <= rope.low) Fail("high_freq_factor must be greater than low_freq_factor");
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::kYarn;
    rope.factor = inner.NumberOr("factor", positions / original);
    rope.low = inner.NumberOr("beta_slow", 1);
    rope.high = inner.NumberOr("beta_fast", 32);
    rope.truncate = inner.FlagOr("truncate", true);
    if (rope.theta <= 1) Fail("YaRN needs a rope_theta above 1");
    const auto grown = [&](double scale) { return rope.factor <= 1 ? 1 : 0.1 * scale * std::log(rope.factor) + 1; };
    const double of_keys = inner.Scale("mscale"), of_all = inner.Scale("mscale_all_dim");
    rope.attention_factor =
        inner.NumberOr("attention_factor", of_keys > 0 && of_all > 0 ? grown(of_keys) / grown(of_all) : grown(1));
  } else if (type == "longrope") {
    rope.scaling = RopeScaling::kLongRope;
    rope.factor = inner.NumberOr("factor", positions / original);
    rope.short_factors = inner.Factors("short_factor", rope.dims / 2);
    rope.long_factors = inner.Factors("long_factor", rope.dims / 2);
    if (rope.original_positions < 2) Fail("longrope needs more than one original position");
    rope.attention_factor = inner.NumberOr(
        "attention_factor", rope.factor <= 1 ? 1 : std::sqrt(1 + std::log(rope.factor) / std::log(original)));
  } else {
    Fail("rope_type \"" + type.substr(0, 40) + "\" is not supported");
  }
}

// Version 4's object replaces version 5's whole; an empty one counts as none.
ConfigReader ConfigReader::RopeObject(const RopeReading& reading) const {
  ConfigReader old = Part("rope_scaling");
  ConfigReader current = Part("rope_parameters");
  if (reading.part == nullptr) return old.root_.empty() ? current : old;
  current = current.Part(reading.part);
  if (std::string_view(reading.part) == "full_attention") current.root_.update(old.root_);
  return current;
}

RopeConfig ConfigReader::Rope(const RopeReading& reading) const {
  const ConfigReader inner = RopeObject(reading);
  RopeConfig rope{.theta = inner.NumberOr("rope_theta", NumberOr(reading.theta_field, reading.theta)),
                  .interleaved = reading.interleaved,
                  .original_positions = SizeOr("original_max_position_embeddings", reading.original_positions),
                  .max_positions = reading.max_positions};
  std::string type = inner.TextOr("rope_type", inner.TextOr("type", "default"));
  if (reading.long_rope && (type == "su" || type == "yarn")) type = "longrope";
  double share = inner.NumberOr("partial_rotary_factor", NumberOr(reading.share_field, reading.share));
  if (!reading.partial) {
    if (share != reading.share && type != "default") Fail("partial_rotary_factor beside a scaling is not supported");
    share = reading.share;
  }
  if (share > 1) Fail("the rotated share of a head must be at most 1");
  rope.dims = static_cast<int64_t>(static_cast<double>(reading.head_dim) * share);
  if (rope.dims < 2 || rope.dims % 2 != 0) Fail("RoPE must rotate an even number of a head's dimensions");
  if (type != "default") ReadScaling(inner, type, rope);
  return rope;
}

std::vector<LayerKind> ConfigReader::Kinds(int64_t layers, int64_t window,
                                           const std::function<bool(int64_t)>& slides) const {
  std::vector<LayerKind> kinds(static_cast<size_t>(layers));
  const json* types = Find("layer_types");
  if (types != nullptr && (!types->is_array() || types->size() != kinds.size()))
    Fail("layer_types must be a list of " + std::to_string(layers) + " names");
  for (size_t n = 0; n < kinds.size(); ++n) {
    if (types != nullptr && (*types)[n] != "sliding_attention" && (*types)[n] != "full_attention")
      Fail("layer_types may hold full_attention and sliding_attention");
    if (types != nullptr ? (*types)[n] == "sliding_attention" : slides(static_cast<int64_t>(n)))
      kinds[n].window = window;
  }
  return kinds;
}

std::vector<bool> ConfigReader::Flags(const char* field, int64_t size) const {
  const json* values = Find(field);
  if (values == nullptr) return {};
  if (!values->is_array() || static_cast<int64_t>(values->size()) < size)
    Fail(std::string(field) + " must be a list of " + std::to_string(size) + " numbers");
  std::vector<bool> flags;
  for (const json& value : *values) {
    if (value != 0 && value != 1) Fail(std::string(field) + " must hold 0 and 1");
    flags.push_back(value == 1);
  }
  return flags;
}

int64_t ConfigReader::Heads(const char* field, int64_t hidden_size) const {
  const int64_t heads = Size(field);
  if (hidden_size % heads != 0) Fail(std::string(field) + " must divide the hidden size");
  return heads;
}

void ConfigReader::Expect(const char* field, bool value) const {
  if (FlagOr(field, value) != value) Fail(std::string(field) + (value ? " false" : " true") + " is not supported");
}

namespace {

const std::vector<const Family*>& AllFamilies() {
  static const std::vector<const Family*> all = [] {
    std::vector<const Family*> families;
    for (const auto& some : {Gpt2Families(), GptNeoxFamilies(), LlamaFamilies(), GemmaFamilies(), CohereFamilies(),
                             FalconFamilies(), GptOssFamilies(), OptFamilies()})
      families.insert(families.end(), some.begin(), some.end());
    return families;
  }();
  return all;
}

}  // namespace

const Family* FindFamily(const std::string& model_type) {
  for (const Family* family : AllFamilies())
    if (family->model_type == model_type) return family;
  return nullptr;
}

std::vector<std::string> FamilyNames() {
  std::set<std::string> names;
  for (const Family* family : AllFamilies()) names.insert(family->model_type);
  return {names.begin(), names.end()};
}

OpenConfig ReadOpenConfig(const std::filesystem::path& directory) {
  return ReadOpenConfig(ConfigReader::Open(directory));
}

OpenConfig ReadOpenConfig(const ConfigReader& reader) {
  const std::string model_type = reader.TextOr("model_type", "");
  const Family* family = FindFamily(model_type);
  if (family == nullptr) {
    std::string known;
    for (const std::string& name : FamilyNames()) known += (known.empty() ? "" : ", ") + name;
    // A model of several kinds of input keeps the text's half in an object of its own.
    const std::string text = reader.Has("text_config") ? reader.Part("text_config").TextOr("model_type", "") : "";
    const std::string half = text.empty() ? ""
                                          : " (it reads more than text; its text half is a \"" + text.substr(0, 40) +
                                                "\", to be saved as a model of its own)";
    reader.Fail("model_type \"" + model_type.substr(0, 40) + "\" is not read" + half + "; these are: " + known);
  }
  OpenConfig config = family->read(reader);
  if (config.family == nullptr) config.family = family;
  if (config.key_value_heads == 0) config.key_value_heads = config.heads;
  if (config.head_dim == 0) config.head_dim = config.hidden_size / config.heads;
  if (config.embedding_size == 0) config.embedding_size = config.hidden_size;
  if (config.kinds.empty()) config.kinds.resize(static_cast<size_t>(config.layers));
  if (config.heads % config.key_value_heads != 0) reader.Fail("num_key_value_heads must divide num_attention_heads");
  if (config.experts_per_token > config.experts) reader.Fail("a token may not have more experts than there are");
  if (config.experts * config.layers > 100000) reader.Fail("over 100,000 experts");
  if (config.head_dim > kMaxModelSize / config.heads) reader.Fail("heads of that size are not supported");
  return config;
}

}  // namespace sink
