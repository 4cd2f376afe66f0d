// A model's configuration as Hugging Face's config.json, written and read.
#include "proto/config/hugging_face.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>

#include "proto/config/fields.h"
#include "proto/config/job_config.h"

namespace sink {

// Whose model a config.json describes: LLaMA itself, or a variant that has a "variant" object.
enum class ModelType { kLlama, kSink };
template <>
struct EnumNames<ModelType> {
  static constexpr EnumName<ModelType> kTable[] = {{ModelType::kLlama, "llama"}, {ModelType::kSink, "sink"}};
};

namespace {

using namespace config;

const std::string kVariant = "model.variant.";

bool IsField(const std::string& path) {
  const std::vector<FieldInfo>& fields = JobConfigFields();
  return std::any_of(fields.begin(), fields.end(), [&](const FieldInfo& field) { return field.path == path; });
}

// The fields of the variant that differ from LLaMA's.
json VariantOf(const ModelConfig& model) {
  JobConfig config;
  config.model = model;
  const json printed = json::parse(PrintJobConfig(config));
  const json::json_pointer pointer("/model/variant");
  return printed.contains(pointer) ? printed.at(pointer) : json::object();
}

std::optional<ModelType> ModelTypeOf(const json& root) {
  const auto field = root.find("model_type");
  return field != root.end() && field->is_string() ? ParseName<ModelType>(field->get_ref<const std::string&>())
                                                   : std::nullopt;
}

}  // namespace

std::string PrintHuggingFaceConfig(const ModelConfig& c, std::optional<int64_t> eos_token_id) {
  const json variant = VariantOf(c);
  json root = {{"model_type", NameOf(variant.empty() ? ModelType::kLlama : ModelType::kSink)},
               {"hidden_size", c.hidden_size},
               {"intermediate_size", c.intermediate_size},
               {"num_hidden_layers", c.num_hidden_layers},
               {"num_attention_heads", c.num_attention_heads},
               {"num_key_value_heads", c.key_value_heads()},
               {"head_dim", c.head_dim()},
               {"vocab_size", c.vocab_size},
               {"max_position_embeddings", c.max_position_embeddings},
               {"rms_norm_eps", c.rms_norm_eps},
               {"rope_theta", c.rope_theta},
               {"hidden_act", "silu"},
               {"tie_word_embeddings", false},
               {"attention_bias", false},
               {"mlp_bias", false},
               {"torch_dtype", "float32"},
               {"bos_token_id", nullptr},  // LLaMA's own defaults are ids that mean something else here
               {"eos_token_id", eos_token_id ? json(*eos_token_id) : json()}};
  if (variant.empty()) {
    root["architectures"] = {"LlamaForCausalLM"};
  } else {
    root["architectures"] = {"SinkForCausalLM"};
    root["auto_map"] = {{"AutoConfig", "modeling_sink.SinkConfig"},
                        {"AutoModel", "modeling_sink.SinkModel"},
                        {"AutoModelForCausalLM", "modeling_sink.SinkForCausalLM"}};
    root["variant"] = variant;
  }
  return root.dump(2) + "\n";
}

std::string PrintHuggingFaceConfig(const ModelConfig& config) { return PrintHuggingFaceConfig(config, std::nullopt); }

ModelConfigResult ParseHuggingFaceConfig(std::string_view text) {
  if (text.size() > kMaxBytes) return {std::nullopt, "config.json is over 64 KiB"};
  const json root = json::parse(text, nullptr, false);
  if (root.is_discarded() || !root.is_object()) return {std::nullopt, "config.json is not a JSON object"};
  const auto refuse = [](std::string what) { return ModelConfigResult{std::nullopt, "config.json: " + what}; };
  const std::optional<ModelType> type = ModelTypeOf(root);
  if (!type) return refuse("model_type must be \"llama\" or \"sink\"");
  for (const char* flag : {"attention_bias", "mlp_bias", "tie_word_embeddings"})
    if (root.contains(flag) && root[flag] != false) return refuse(std::string(flag) + " is not supported");
  if (root.contains("hidden_act") && root["hidden_act"] != "silu") return refuse("hidden_act must be \"silu\"");
  if (root.contains("rope_scaling") && !root["rope_scaling"].is_null()) return refuse("rope_scaling is not supported");
  // The same field list and bounds as a job's model part. null stands for the default, as in Hugging Face.
  json model = {{"rms_norm_eps", 1e-6}};  // LlamaConfig's own default, which is not ours
  for (const FieldInfo& field : JobConfigFields()) {
    if (field.path.rfind("model.", 0) != 0 || field.path.rfind(kVariant, 0) == 0) continue;
    const std::string name = field.path.substr(6);
    const bool optional = name == "num_key_value_heads" || name == "rms_norm_eps" || name == "rope_theta";
    if (root.contains(name) && !(optional && root[name].is_null()))
      model[name] = root[name];
    else if (!optional)
      return refuse("no field \"" + name + "\"");
  }
  if (root.contains("rope_parameters") && !root["rope_parameters"].is_null()) {  // transformers 5 keeps theta here
    const json& rope = root["rope_parameters"];
    if (!rope.is_object() || (rope.contains("rope_type") && rope["rope_type"] != "default"))
      return refuse("rope_parameters: only rope_type \"default\" is supported");
    if (rope.contains("rope_theta")) model["rope_theta"] = rope["rope_theta"];
  }
  if (root.contains("variant")) {
    if (type != ModelType::kSink) return refuse("\"variant\" needs model_type \"sink\"");
    json variant = root["variant"];
    if (!variant.is_object()) return refuse("\"variant\" must be an object");
    if (variant.contains("window") && variant["window"].is_null()) variant.erase("window");
    for (const auto& [name, value] : variant.items())
      if (!IsField(kVariant + name)) return refuse("variant." + name + ": no such field");
    model["variant"] = std::move(variant);
  }
  JobConfig config;
  const json wrapped = {{"model", model}};
  Reader reader{wrapped, "", ""};
  VisitFields(config, reader);
  if (reader.error.empty()) std::tie(reader.path, reader.error) = CheckModelConfig(config.model);
  if (!reader.error.empty()) return refuse(reader.path.substr(std::string("model.").size()) + " " + reader.error);
  if (root.contains("head_dim") && !root["head_dim"].is_null() && root["head_dim"] != config.model.head_dim())
    return refuse("head_dim must be hidden_size / num_attention_heads");
  return {config.model, ""};
}

}  // namespace sink
