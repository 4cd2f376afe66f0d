#include "proto/config/job_config.h"

#include <xxhash.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

namespace sink {
namespace {

using nlohmann::json;

constexpr size_t kMaxBytes = 64 * 1024;
constexpr double kLarge = 9007199254740991.0;  // 2^53 - 1: every integer up to it survives JSON and a double

// Calls v(path, member, min, max) for numbers and v(path, member, choices) for strings, once per field.
template <typename Config, typename Visitor>
void VisitFields(Config& c, Visitor&& v) {
  using Choices = std::vector<std::string>;
  v("kind", c.kind, Choices{"train"});
  v("model.hidden_size", c.model.hidden_size, 1, 65536);
  v("model.intermediate_size", c.model.intermediate_size, 1, 262144);
  v("model.num_hidden_layers", c.model.num_hidden_layers, 1, 1024);
  v("model.num_attention_heads", c.model.num_attention_heads, 1, 1024);
  v("model.num_key_value_heads", c.model.num_key_value_heads, 0, 1024);
  v("model.vocab_size", c.model.vocab_size, 1, 2097152);
  v("model.max_position_embeddings", c.model.max_position_embeddings, 1, 1048576);
  v("model.rms_norm_eps", c.model.rms_norm_eps, 1e-12, 1.0);
  v("model.rope_theta", c.model.rope_theta, 1.0, 1e12);
  v("train.learning_rate", c.train.learning_rate, 0.0, 100.0);
  v("train.min_learning_rate", c.train.min_learning_rate, 0.0, 100.0);
  v("train.warmup_steps", c.train.warmup_steps, 0, kLarge);
  v("train.max_steps", c.train.max_steps, 1, kLarge);
  v("train.global_batch_size", c.train.global_batch_size, 1, 1048576);
  v("train.micro_batch_size", c.train.micro_batch_size, 1, 65536);
  v("train.sequence_length", c.train.sequence_length, 1, 1048576);
  v("train.weight_decay", c.train.weight_decay, 0.0, 100.0);
  v("train.beta1", c.train.beta1, 0.0, 0.9999999);
  v("train.beta2", c.train.beta2, 0.0, 0.9999999);
  v("train.epsilon", c.train.epsilon, 0.0, 1.0);
  v("train.max_gradient_norm", c.train.max_gradient_norm, 0.0, 1e9);
  v("train.seed", c.train.seed, 0, kLarge);
  v("train.precision", c.train.precision, Choices{"auto", "fp32", "bf16"});
  v("train.threads", c.train.threads, 1, 1024);
  v("train.log_every", c.train.log_every, 1, kLarge);
  v("data.set", c.data.set, Choices{});
  v("data.fraction", c.data.fraction, 1e-9, 1.0);
  v("data.fixed_token_position", c.data.fixed_token_position, 0, 1048576);
  v("data.fixed_token_id", c.data.fixed_token_id, 0, 2097151);
  v("data.random_tokens_start", c.data.random_tokens_start, 0, 1048576);
  v("data.random_tokens_end", c.data.random_tokens_end, 0, 1048576);
  v("eval.every", c.eval.every, 1, kLarge);
  v("eval.sequences", c.eval.sequences, 1, 100000);
  v("eval.tokens", c.eval.tokens, 2, 1048576);
  v("eval.epsilon", c.eval.epsilon, 0.0, 1.0);
  v("eval.positions", c.eval.positions, 1, 1024);
  v("eval.validation_sequences", c.eval.validation_sequences, 1, 1048576);
  v("checkpoint.every", c.checkpoint.every, 1, kLarge);
  v("checkpoint.keep", c.checkpoint.keep, 1, 1000);
}

struct Lister {
  std::vector<FieldInfo> fields;
  void operator()(const char* path, const std::string&, std::vector<std::string> choices) {
    fields.push_back({path, FieldType::kString, 0, 0, std::move(choices)});
  }
  void operator()(const char* path, const int64_t&, double min, double max) {
    fields.push_back({path, FieldType::kInteger, min, max, {}});
  }
  void operator()(const char* path, const double&, double min, double max) {
    fields.push_back({path, FieldType::kNumber, min, max, {}});
  }
  void operator()(const char* path, const std::optional<double>&, double min, double max) {
    fields.push_back({path, FieldType::kOptionalNumber, min, max, {}});
  }
  void operator()(const char* path, const std::vector<double>&, double min, double max) {
    fields.push_back({path, FieldType::kNumberList, min, max, {}});
  }
};

json::json_pointer Pointer(std::string path) {
  for (char& c : path) c = c == '.' ? '/' : c;
  return json::json_pointer("/" + path);
}

struct Printer {
  json root = json::object();
  template <typename T, typename... Rest>
  void operator()(const char* path, const T& value, Rest&&...) {
    root[Pointer(path)] = value;
  }
  void operator()(const char* path, const std::optional<double>& value, double, double) {
    root[Pointer(path)] = value ? json(*value) : json(nullptr);
  }
};

std::string Number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.16g", x);
  return text;
}

bool IsName(const std::string& s) {
  if (s.empty() || s.size() > 64 || s[0] == '.' || s[0] == '-') return false;
  return s.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == std::string::npos;
}

// Takes each known field out of `root`; what is left over is unknown.
struct Reader {
  const json& root;
  std::string path, error;

  const json* Find(const char* field) {
    const json::json_pointer pointer = Pointer(field);
    return error.empty() && root.contains(pointer) ? &root.at(pointer) : nullptr;
  }
  void Fail(const char* field, std::string message) {
    if (!error.empty()) return;
    path = field;
    error = std::move(message);
  }
  bool Bounded(const char* field, const json& value, double min, double max) {
    if (!value.is_number()) return Fail(field, "must be a number"), false;
    const double x = value.get<double>();
    if (!(x >= min && x <= max)) return Fail(field, "must be between " + Number(min) + " and " + Number(max)), false;
    return true;
  }
  // -0 and 0 are one number, so they must not print as two.
  static double Canonical(const json& value) { return value.get<double>() + 0.0; }
  void operator()(const char* field, std::string& out, const std::vector<std::string>& choices) {
    const json* value = Find(field);
    if (!value) return;
    if (!value->is_string()) return Fail(field, "must be a string");
    const auto& text = value->get_ref<const std::string&>();
    if (choices.empty() && !IsName(text))
      return Fail(field, "must be a plain name: 1 to 64 of A-Z a-z 0-9 . _ -, not starting with . or -");
    bool known = choices.empty();
    std::string list;
    for (const std::string& choice : choices) {
      known |= choice == text;
      list += (list.empty() ? "" : ", ") + choice;
    }
    if (!known) return Fail(field, "must be one of: " + list);
    out = text;
  }
  void operator()(const char* field, int64_t& out, double min, double max) {
    const json* value = Find(field);
    if (!value || !Bounded(field, *value, min, max)) return;
    const double x = value->get<double>();
    if (x != std::floor(x)) return Fail(field, "must be a whole number");
    out = static_cast<int64_t>(x);
  }
  void operator()(const char* field, double& out, double min, double max) {
    const json* value = Find(field);
    if (value && Bounded(field, *value, min, max)) out = Canonical(*value);
  }
  void operator()(const char* field, std::optional<double>& out, double min, double max) {
    const json* value = Find(field);
    if (!value) return;
    if (value->is_null()) return out.reset();
    if (Bounded(field, *value, min, max)) out = Canonical(*value);
  }
  void operator()(const char* field, std::vector<double>& out, double min, double max) {
    const json* value = Find(field);
    if (!value) return;
    if (!value->is_array() || value->empty() || value->size() > 16)
      return Fail(field, "must be a list of 1 to 16 numbers");
    std::vector<double> list;
    for (const json& element : *value) {
      if (!Bounded(field, element, min, max)) return;
      list.push_back(Canonical(element));
    }
    out = std::move(list);
  }
};

// The first thing in `value` that is no field, as (path, error); both empty when there is none. A key with a dot is
// never a field: "train.seed" at the top would look like one and be read by nobody.
std::pair<std::string, std::string> FindUnknown(const json& value, const std::string& prefix) {
  for (const auto& [key, child] : value.items()) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    bool leaf = false, group = false;
    for (const FieldInfo& field : JobConfigFields()) {
      leaf |= field.path == path;
      group |= field.path.size() > path.size() && field.path[path.size()] == '.' && field.path.rfind(path, 0) == 0;
    }
    if (key.find('.') != std::string::npos || (!leaf && !group)) return {path, "no such field"};
    if (leaf) continue;
    if (!child.is_object()) return {path, "must be an object"};
    if (auto unknown = FindUnknown(child, path); !unknown.second.empty()) return unknown;
  }
  return {"", ""};
}

std::string Hex128(XXH128_hash_t hash) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

}  // namespace

const std::vector<FieldInfo>& JobConfigFields() {
  static const std::vector<FieldInfo> fields = [] {
    JobConfig defaults;
    Lister lister;
    VisitFields(defaults, lister);
    return lister.fields;
  }();
  return fields;
}

JobConfigResult ParseJobConfig(std::string_view text) {
  if (text.size() > kMaxBytes) return {std::nullopt, "", "the configuration is over 64 KiB"};
  const json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded() || !root.is_object()) return {std::nullopt, "", "the configuration is not a JSON object"};
  if (const auto [path, error] = FindUnknown(root, ""); !error.empty()) return {std::nullopt, path, error};
  JobConfig config;
  Reader reader{root, "", ""};
  VisitFields(config, reader);
  if (reader.error.empty()) std::tie(reader.path, reader.error) = CheckJobConfig(config);
  if (!reader.error.empty()) return {std::nullopt, reader.path, reader.error};
  return {config, "", ""};
}

std::string PrintJobConfig(const JobConfig& config) {
  Printer printer;
  VisitFields(config, printer);
  return printer.root.dump(-1, ' ', false, json::error_handler_t::replace);  // never throws
}

std::string JobId(const JobConfig& config) {
  const std::string text = PrintJobConfig(config);
  return Hex128(XXH3_128bits(text.data(), text.size()));
}

std::pair<std::string, std::string> CheckJobConfig(const JobConfig& c) {
  if (c.model.hidden_size % c.model.num_attention_heads != 0)
    return {"model.num_attention_heads", "must divide model.hidden_size"};
  if (c.model.head_dim() % 2 != 0)
    return {"model.num_attention_heads", "hidden_size / num_attention_heads must be even for rotary embeddings"};
  if (c.model.num_attention_heads % c.model.key_value_heads() != 0)
    return {"model.num_key_value_heads", "must divide model.num_attention_heads"};
  if (c.train.sequence_length > c.model.max_position_embeddings)
    return {"train.sequence_length", "must not exceed model.max_position_embeddings"};
  if (c.eval.tokens > c.train.sequence_length) return {"eval.tokens", "must not exceed train.sequence_length"};
  if (c.eval.positions > c.eval.tokens) return {"eval.positions", "must not exceed eval.tokens"};
  if (c.train.global_batch_size % c.train.micro_batch_size != 0)
    return {"train.micro_batch_size", "must divide train.global_batch_size"};
  if (c.train.min_learning_rate && *c.train.min_learning_rate > c.train.learning_rate)
    return {"train.min_learning_rate", "must not exceed train.learning_rate"};
  if (c.data.fixed_token_position > c.train.sequence_length)
    return {"data.fixed_token_position", "must not exceed train.sequence_length"};
  if (c.data.fixed_token_id >= c.model.vocab_size) return {"data.fixed_token_id", "must be below model.vocab_size"};
  if (c.data.random_tokens_end < c.data.random_tokens_start || c.data.random_tokens_end > c.train.sequence_length)
    return {"data.random_tokens_end", "must lie between data.random_tokens_start and train.sequence_length"};
  return {"", ""};
}

std::string PrintHuggingFaceConfig(const ModelConfig& c) {
  const json root = {{"architectures", {"LlamaForCausalLM"}},
                     {"model_type", "llama"},
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
                     {"torch_dtype", "float32"}};
  return root.dump(2) + "\n";
}

ModelConfigResult ParseHuggingFaceConfig(std::string_view text) {
  if (text.size() > kMaxBytes) return {std::nullopt, "config.json is over 64 KiB"};
  const json root = json::parse(text, nullptr, false);
  if (root.is_discarded() || !root.is_object()) return {std::nullopt, "config.json is not a JSON object"};
  const auto refuse = [](std::string what) { return ModelConfigResult{std::nullopt, "config.json: " + what}; };
  if (!root.contains("model_type") || root["model_type"] != "llama") return refuse("model_type must be \"llama\"");
  for (const char* flag : {"attention_bias", "mlp_bias", "tie_word_embeddings"})
    if (root.contains(flag) && root[flag] != false) return refuse(std::string(flag) + " is not supported");
  if (root.contains("hidden_act") && root["hidden_act"] != "silu") return refuse("hidden_act must be \"silu\"");
  if (root.contains("rope_scaling") && !root["rope_scaling"].is_null()) return refuse("rope_scaling is not supported");
  // The same field list and bounds as a job's model part. null stands for the default, as in Hugging Face.
  json model = {{"rms_norm_eps", 1e-6}};  // LlamaConfig's own default, which is not ours
  for (const FieldInfo& field : JobConfigFields()) {
    if (field.path.rfind("model.", 0) != 0) continue;
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
  // A job around the model that the model's own checks can fail, and no others.
  JobConfig config;
  const json wrapped = {{"model", model}};
  Reader reader{wrapped, "", ""};
  VisitFields(config, reader);
  config.train.sequence_length = config.eval.tokens = config.eval.positions = 1;
  config.data.fixed_token_id = 0;
  if (reader.error.empty()) std::tie(reader.path, reader.error) = CheckJobConfig(config);
  if (!reader.error.empty()) return refuse(reader.path.substr(std::string("model.").size()) + " " + reader.error);
  if (root.contains("head_dim") && !root["head_dim"].is_null() && root["head_dim"] != config.model.head_dim())
    return refuse("head_dim must be hidden_size / num_attention_heads");
  return {config.model, ""};
}

}  // namespace sink
