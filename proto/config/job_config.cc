// Parser, printer, list of fields and id of a job's configuration.
#include "proto/config/job_config.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "proto/config/fields.h"
#include "proto/files/hash.h"

namespace sink {
namespace {

using namespace config;

struct Lister {
  std::vector<FieldInfo> fields;
  void operator()(const char* path, const std::string&, std::vector<std::string> choices) {
    fields.push_back({path, FieldType::kString, 0, 0, std::move(choices)});
  }
  template <NamedEnum Enum>
  void operator()(const char* path, const Enum&) {
    fields.push_back({path, FieldType::kString, 0, 0, AllNames<Enum>()});
  }
  void operator()(const char* path, const std::string&, HubName) {
    fields.push_back({path, FieldType::kString, 0, 0, {}});
  }
  void operator()(const char* path, const std::vector<std::string>&, std::vector<std::string> choices) {
    fields.push_back({path, FieldType::kNameList, 0, 0, std::move(choices)});
  }
  void operator()(const char* path, const bool&) { fields.push_back({path, FieldType::kBoolean, 0, 0, {}}); }
  void operator()(const char* path, const int64_t&, double min, double max) {
    fields.push_back({path, FieldType::kInteger, min, max, {}});
  }
  void operator()(const char* path, const int64_t&, double min, double max, OrAuto) {
    fields.push_back({path, FieldType::kInteger, min, max, {kAutoWord}});
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

struct Printer {
  json root = json::object();
  template <typename T, typename... Rest>
  void operator()(const char* path, const T& value, Rest&&...) {
    root[Pointer(path)] = value;
  }
  template <NamedEnum Enum>
  void operator()(const char* path, const Enum& value) {
    root[Pointer(path)] = NameOf(value);
  }
  void operator()(const char* path, const int64_t& value, double, double, OrAuto) {
    root[Pointer(path)] = value == 0 ? json(kAutoWord) : json(value);
  }
  void operator()(const char* path, const std::optional<double>& value, double, double) {
    root[Pointer(path)] = value ? json(*value) : json(nullptr);
  }
};

// For maps that are asked for a string_view.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

// The paths of all fields, and of what holds them: "train.seed", "train".
struct Paths {
  std::unordered_set<std::string> fields, groups;
};
const Paths& KnownPaths() {
  static const Paths known = [] {
    Paths paths;
    for (const FieldInfo& field : JobConfigFields()) {
      paths.fields.insert(field.path);
      for (size_t dot = field.path.find('.'); dot != std::string::npos; dot = field.path.find('.', dot + 1))
        paths.groups.insert(field.path.substr(0, dot));
    }
    return paths;
  }();
  return known;
}

// The first thing in `value` that is no field, as (path, error); both empty when there is none. A key with a dot is
// never a field: "train.seed" at the top would look like one and be read by nobody.
std::pair<std::string, std::string> FindUnknown(const json& value, const std::string& prefix) {
  for (const auto& [key, child] : value.items()) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    const bool leaf = KnownPaths().fields.contains(path), group = KnownPaths().groups.contains(path);
    if (key.find('.') != std::string::npos || (!leaf && !group)) return {path, "no such field"};
    if (leaf) continue;
    if (!child.is_object()) return {path, "must be an object"};
    if (auto unknown = FindUnknown(child, path); !unknown.second.empty()) return unknown;
  }
  return {"", ""};
}

// Never throws.
std::string Dump(const json& root) { return root.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

const json::json_pointer& config::Pointer(std::string_view path) {
  static const auto pointers = [] {
    std::unordered_map<std::string, json::json_pointer, TextHash, std::equal_to<>> of;
    for (const FieldInfo& field : JobConfigFields()) {
      std::string text = "/" + field.path;
      std::replace(text.begin(), text.end(), '.', '/');
      of.emplace(field.path, json::json_pointer(text));
    }
    return of;
  }();
  return pointers.find(path)->second;
}

const std::vector<std::string>& EvalMetrics() {
  static const std::vector<std::string> names = {
      "first_attention",  "first_argmax",     "attention_entropy",   "zero_attention",   "max_logit",
      "dormant_heads",    "max_activation",   "massive_activations", "massive_channels", "top_median_ratio",
      "kurtosis",         "hidden_norm",      "matrix_entropy",      "hidden_cosine",    "key_norm_ratio",
      "value_norm_ratio", "query_key_cosine", "query_key_norm",      "sink_update",      "sink_update_deviation",
      "sink_logit",       "gate_mean",        "gate_sparsity",
  };
  return names;
}

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
  static const json defaults = [] {
    const JobConfig of_defaults;
    Printer printer;
    VisitLaterFields(of_defaults, printer);
    return printer.root;
  }();
  Printer printer, later;
  VisitFirstFields(config, printer);
  VisitLaterFields(config, later);
  for (const FieldInfo& field : JobConfigFields()) {
    const json::json_pointer& pointer = Pointer(field.path);
    if (later.root.contains(pointer) && later.root.at(pointer) != defaults.at(pointer))
      printer.root[pointer] = later.root.at(pointer);
  }
  return Dump(printer.root);
}

std::string PrintEveryField(const JobConfig& config) {
  Printer printer;
  VisitFields(config, printer);
  return Dump(printer.root);
}

std::string JobId(const JobConfig& config) { return JobIdOfPrinted(PrintJobConfig(config)); }
std::string JobIdOfPrinted(const std::string& printed) { return files::Hash(printed); }

}  // namespace sink
