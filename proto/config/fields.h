// The list of a job's fields, and the strict reader that walks it. Internal to proto/config: job_config.h is the
// interface. Pure functions and plain values; any thread.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/config/job_config.h"
#include "proto/config/names.h"

namespace sink::config {

using nlohmann::json;

inline constexpr size_t kMaxBytes = 64 * 1024;        // a configuration's text
inline constexpr size_t kMaxListed = 64;              // names or numbers in a list
inline constexpr double kLarge = 9007199254740991.0;  // 2^53 - 1: every integer up to it survives JSON and a double

using Choices = std::vector<std::string>;
struct OrAuto {};  // says that a whole number may be the word "auto", which is 0 in the configuration
inline constexpr char kAutoWord[] = "auto";
struct HubName {};  // says that a string is empty, a plain name, or an owner's and a plain name with a slash between

// Each calls v(path, member, min, max) for numbers and lists of them, with OrAuto() behind where it may be auto,
// v(path, member, choices) for strings and lists of
// names, v(path, member, HubName()) for a model's name, v(path, member) for booleans and enumerations, once per field.
template <typename Config, typename Visitor>
void VisitFirstFields(Config& c, Visitor&& v) {
  v("kind", c.kind);
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
  v("train.micro_batch_size", c.train.micro_batch_size, 1.0, 65536.0, OrAuto());
  v("train.sequence_length", c.train.sequence_length, 1, 1048576);
  v("train.weight_decay", c.train.weight_decay, 0.0, 100.0);
  v("train.beta1", c.train.beta1, 0.0, 0.9999999);
  v("train.beta2", c.train.beta2, 0.0, 0.9999999);
  v("train.epsilon", c.train.epsilon, 0.0, 1.0);
  v("train.max_gradient_norm", c.train.max_gradient_norm, 0.0, 1e9);
  v("train.seed", c.train.seed, 0, kLarge);
  v("train.precision", c.train.precision);
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

// The fields that came after the first release: their defaults are not printed.
template <typename Config, typename Visitor>
void VisitLaterFields(Config& c, Visitor&& v) {
  auto& variant = c.model.variant;
  v("model.variant.position_embedding", variant.position_embedding);
  v("model.variant.ffn", variant.ffn);
  v("model.variant.norm_placement", variant.norm_placement);
  v("model.variant.similarity", variant.similarity);
  v("model.variant.feature_map", variant.feature_map);
  v("model.variant.normalize", variant.normalize);
  v("model.variant.attention_sum", variant.attention_sum, 1e-6, 1e6);
  v("model.variant.key_bias", variant.key_bias);
  v("model.variant.value_bias", variant.value_bias);
  v("model.variant.value_bias_scale", variant.value_bias_scale, 0.0, 1e6);
  v("model.variant.sink_logit", variant.sink_logit);
  v("model.variant.sink_token", variant.sink_token);
  v("model.variant.attention_gate", variant.attention_gate);
  v("model.variant.qk_norm", variant.qk_norm);
  v("model.variant.prefix_length", variant.prefix_length, 0, 1048576);
  v("model.variant.window", variant.window, 0, 1048576);
  v("train.ignore_loss", c.train.ignore_loss, 0, 1048575);
  v("train.optimizer", c.train.optimizer);
  v("train.muon_learning_rate", c.train.muon_learning_rate, 0.0, 100.0);
  v("train.muon_momentum", c.train.muon_momentum, 0.0, 0.9999999);
  v("train.on_divergence", c.train.on_divergence);
  v("train.loss_spike_factor", c.train.loss_spike_factor, 0.0, 1e9);
  v("train.max_roll_backs", c.train.max_roll_backs, 0, 1000);
  v("eval.metrics", c.eval.metrics, EvalMetrics());
  v("checkpoint.keep_period", c.checkpoint.keep_period, 0, kLarge);
  v("checkpoint.keep_best", c.checkpoint.keep_best);
  v("data.domains", c.data.domains, Choices{});
  v("data.weights", c.data.weights, 0.0, 1e9);
  v("train.shard_optimizer", c.train.shard_optimizer);
  v("evaluate.model", c.evaluate.model, HubName());
  v("evaluate.inputs", c.evaluate.inputs);
  v("evaluate.texts", c.evaluate.texts, Choices{});
}

template <typename Config, typename Visitor>
void VisitFields(Config& c, Visitor&& v) {
  VisitFirstFields(c, v);
  VisitLaterFields(c, v);
}

// Where a field stands in a configuration's JSON. Made once: a sweep of ten thousand jobs looks each field up several
// times a job, and to split its path anew was most of what a submission cost.
const json::json_pointer& Pointer(std::string_view path);

inline std::string Number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.16g", x);
  return text;
}

// Takes each known field out of `root`; what is left over is unknown.
struct Reader {
  const json& root;
  std::string path, error;

  const json* Find(const char* field) {
    const json::json_pointer& pointer = Pointer(field);
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
  bool Named(const char* field, const json& value, const std::vector<std::string>& choices) {
    if (!value.is_string()) return Fail(field, "must be a string"), false;
    const auto& text = value.get_ref<const std::string&>();
    if (choices.empty() && !IsPlainName(text))
      return Fail(field, "must be a plain name: 1 to 64 of A-Z a-z 0-9 . _ -, not starting with . or -"), false;
    bool known = choices.empty();
    std::string list;
    for (const std::string& choice : choices) {
      known |= choice == text;
      list += (list.empty() ? "" : ", ") + choice;
    }
    if (!known) Fail(field, "must be one of: " + list);
    return known;
  }
  void operator()(const char* field, std::string& out, const std::vector<std::string>& choices) {
    const json* value = Find(field);
    if (value && Named(field, *value, choices)) out = value->get<std::string>();
  }
  template <NamedEnum Enum>
  void operator()(const char* field, Enum& out) {
    const json* value = Find(field);
    if (value && Named(field, *value, AllNames<Enum>())) out = *ParseName<Enum>(value->get_ref<const std::string&>());
  }
  void operator()(const char* field, std::string& out, HubName) {
    const json* value = Find(field);
    if (!value) return;
    const std::string text = value->is_string() ? value->get<std::string>() : "?";
    if (text.empty()) return out.clear();  // none, as a job that trains has it
    if (!IsHubName(text)) return Fail(field, "must be a model's name, such as openai-community/gpt2, of plain names");
    out = text;
  }
  void operator()(const char* field, std::vector<std::string>& out, const std::vector<std::string>& choices) {
    const json* value = Find(field);
    if (!value) return;
    if (!value->is_array() || value->size() > kMaxListed)
      return Fail(field, "must be a list of at most " + std::to_string(kMaxListed) + " names");
    std::vector<std::string> list;
    for (const json& element : *value) {
      if (!Named(field, element, choices)) return;
      list.push_back(element.get<std::string>());
    }
    out = std::move(list);
  }
  void operator()(const char* field, bool& out) {
    const json* value = Find(field);
    if (!value) return;
    if (!value->is_boolean()) return Fail(field, "must be true or false");
    out = value->get<bool>();
  }
  void operator()(const char* field, int64_t& out, double min, double max) {
    const json* value = Find(field);
    if (!value || !Bounded(field, *value, min, max)) return;
    const double x = value->get<double>();
    if (x != std::floor(x)) return Fail(field, "must be a whole number");
    out = static_cast<int64_t>(x);
  }
  void operator()(const char* field, int64_t& out, double min, double max, OrAuto) {
    const json* value = Find(field);
    if (value && *value == kAutoWord)
      out = 0;
    else
      (*this)(field, out, min, max);
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
    const bool must_have = !out.empty();  // a list that is empty by default may be so in writing
    if (!value->is_array() || (value->empty() && must_have) || value->size() > kMaxListed)
      return Fail(field, "must be a list of 1 to " + std::to_string(kMaxListed) + " numbers");
    std::vector<double> list;
    for (const json& element : *value) {
      if (!Bounded(field, element, min, max)) return;
      list.push_back(Canonical(element));
    }
    out = std::move(list);
  }
};

}  // namespace sink::config
