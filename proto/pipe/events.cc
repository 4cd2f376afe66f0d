// The JSON behind events.h. One list of fields per record (VisitFields) drives both the writer and the reader, so that
// the two cannot drift apart. The reader trusts nothing: every length and range is checked before a value is used.
// Pure functions; any thread.
#include "proto/pipe/events.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "proto/pipe/metrics_record.h"

namespace sink::pipe {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxPathBytes = 4096;
constexpr size_t kMaxMessageBytes = 64 * 1024;
constexpr size_t kMaxHeatmapCells = 65536;

// In the order of the variant's alternatives.
constexpr std::array<const char*, std::variant_size_v<Event>> kTypes = {"hello",      "progress", "metrics",  "heatmap",
                                                                        "checkpoint", "log",      "finished", "failed"};

// Long text, which is cut where names and paths are refused.
template <typename String>
struct Message {
  String& text;
};
template <typename String>
Message(String&) -> Message<String>;  // clang before 17 cannot deduce aggregates

// A count of training steps, which others compute with.
template <typename Integer>
struct Steps {
  Integer& count;
};
template <typename Integer>
Steps(Integer&) -> Steps<Integer>;

template <typename Visitor, typename Record>
void VisitFields(Visitor& visit, Record& r) {
  using T = std::remove_const_t<Record>;
  if constexpr (std::is_same_v<T, Hello>) {
    visit("version", r.version);
    visit("pid", r.pid);
    visit("device", r.device);
    visit("start_step", Steps{r.start_step});
    visit("max_steps", Steps{r.max_steps});
    visit("parameters", r.parameters);
  } else if constexpr (std::is_same_v<T, Progress>) {
    visit("step", Steps{r.step});
    visit("tokens", r.tokens);
    visit("tokens_per_second", r.tokens_per_second);
  } else if constexpr (std::is_same_v<T, Metrics>) {
    visit("step", Steps{r.step});
    visit("values", r.values);
  } else if constexpr (std::is_same_v<T, Heatmap>) {
    visit("step", Steps{r.step});
    visit("name", r.name);
    visit("layers", r.layers);
    visit("heads", r.heads);
    visit("values", r.values);
  } else if constexpr (std::is_same_v<T, Checkpoint>) {
    visit("step", Steps{r.step});
    visit("path", r.path, kMaxPathBytes);
    visit("manifest_hash", r.manifest_hash);
  } else if constexpr (std::is_same_v<T, Log>) {
    visit("level", r.level);
    visit("message", Message{r.message});
  } else if constexpr (std::is_same_v<T, Finished>) {
    visit("step", Steps{r.step});
  } else {
    static_assert(std::is_same_v<T, Failed>);
    visit("class", r.failure_class);
    visit("message", Message{r.message});
  }
}

// The longest prefix whose escaped form surely fits a line (a control character takes six bytes, any other at most
// three), cut between two UTF-8 characters.
std::string_view CutMessage(std::string_view text) {
  size_t budget = 3 * kMaxMessageBytes;
  size_t size = 0;
  for (; size < text.size(); ++size) {
    const size_t cost = static_cast<unsigned char>(text[size]) < 0x20 ? 6 : 3;
    if (budget < cost) break;
    budget -= cost;
  }
  if (size == text.size()) return text;
  size_t boundary = size;
  while (boundary > 0 && size - boundary < 3 && (static_cast<unsigned char>(text[boundary]) & 0xC0) == 0x80) --boundary;
  return text.substr(0, boundary);
}

Json FromDouble(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

std::optional<double> ToDouble(const Json& json) {
  if (json.is_number()) return json.get<double>();
  if (json == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (json == "Infinity") return std::numeric_limits<double>::infinity();
  if (json == "-Infinity") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

class Writer {
 public:
  explicit Writer(Json& object) : object_(object) {}

  void operator()(const char* key, int64_t value) { object_[key] = value; }
  void operator()(const char* key, Steps<const int64_t> steps) { object_[key] = steps.count; }
  void operator()(const char* key, double value) { object_[key] = FromDouble(value); }
  void operator()(const char* key, const std::string& value, size_t = 0) { object_[key] = value; }
  void operator()(const char* key, Message<const std::string> message) { object_[key] = CutMessage(message.text); }
  void operator()(const char* key, int value) { object_[key] = value; }
  void operator()(const char* key, FailureClass value) { object_[key] = NameOf(value); }

  void operator()(const char* key, const std::vector<double>& values) {
    Json& array = object_[key] = Json::array();
    for (double value : values) array.push_back(FromDouble(value));
  }

  void operator()(const char* key, const std::vector<std::pair<std::string, double>>& values) {
    Json& map = object_[key] = Json::object();
    for (const auto& [name, value] : values) map[name] = FromDouble(value);
  }

 private:
  Json& object_;
};

// Fills a record; after the first bad field, error() is set and the rest is left alone.
class Reader {
 public:
  explicit Reader(const Json& object) : object_(object) {}

  const std::string& error() const { return error_; }

  void operator()(const char* key, int64_t& out) { ReadInteger(key, std::numeric_limits<int64_t>::max(), out); }
  void operator()(const char* key, Steps<int64_t> steps) { ReadInteger(key, kMaxStep, steps.count); }
  void operator()(const char* key, int& out) { ReadInteger(key, std::numeric_limits<int>::max(), out); }

  void operator()(const char* key, double& out) {
    const Json* field = Find(key);
    if (field == nullptr) return;
    const std::optional<double> value = ToDouble(*field);
    if (!value) return Fail(key, "must be a number");
    out = *value;
  }

  void operator()(const char* key, std::string& out, size_t max_bytes = kMaxNameBytes) {
    const Json* field = Find(key);
    if (field == nullptr) return;
    if (!field->is_string()) return Fail(key, "must be a string");
    const auto& text = field->get_ref<const std::string&>();
    if (text.size() > max_bytes) return Fail(key, "is too long");
    out = text;
  }

  void operator()(const char* key, FailureClass& out) {
    std::string name;
    (*this)(key, name);
    out = ParseName<FailureClass>(name).value_or(FailureClass::kInfra);
  }

  void operator()(const char* key, Message<std::string> message) {
    (*this)(key, message.text, kMaxLineBytes);
    message.text.resize(CutMessage(message.text).size());
  }

  void operator()(const char* key, std::vector<double>& out) {
    const Json* field = Find(key);
    if (field == nullptr) return;
    if (!field->is_array() || field->size() > kMaxHeatmapCells) return Fail(key, "must be an array of numbers");
    out.reserve(field->size());
    for (const Json& element : *field) {
      const std::optional<double> value = ToDouble(element);
      if (!value) return Fail(key, "must be an array of numbers");
      out.push_back(*value);
    }
  }

  void operator()(const char* key, std::vector<std::pair<std::string, double>>& out) {
    const Json* field = Find(key);
    if (field == nullptr) return;
    if (!field->is_object()) return Fail(key, "must be an object of numbers");
    if (field->size() > kMaxValues) return Fail(key, "holds too many values");
    out.reserve(field->size());
    for (const auto& [name, element] : field->items()) {
      const std::optional<double> value = ToDouble(element);
      if (!value) return Fail(key, "must be an object of numbers");
      if (name.empty() || name.size() > kMaxNameBytes) return Fail(key, "holds a name that is empty or too long");
      out.emplace_back(name, *value);
    }
  }

 private:
  const Json* Find(const char* key) {
    if (!error_.empty()) return nullptr;
    const auto it = object_.find(key);
    if (it != object_.end()) return &*it;
    Fail(key, "is missing");
    return nullptr;
  }

  // All integers of the format are counts or process ids: never negative.
  template <typename Integer>
  void ReadInteger(const char* key, Integer max, Integer& out) {
    const Json* field = Find(key);
    if (field == nullptr) return;
    // Non-negative integers parse as unsigned; a negative or fractional number does not.
    if (!field->is_number_unsigned()) return Fail(key, "must be a non-negative integer");
    const auto value = field->get<uint64_t>();
    if (value > static_cast<uint64_t>(max)) return Fail(key, "is too large");
    out = static_cast<Integer>(value);
  }

  void Fail(const char* key, const char* what) { error_ = std::string("field '") + key + "' " + what; }

  const Json& object_;
  std::string error_;
};

// What no single field can show.
std::string CheckShape(const Event& event) {
  const auto* heatmap = std::get_if<Heatmap>(&event);
  if (heatmap == nullptr) return "";
  const uint64_t cells = static_cast<uint64_t>(heatmap->layers) * static_cast<uint64_t>(heatmap->heads);
  if (cells == 0 || cells > kMaxHeatmapCells) return "heatmap has no cells or too many";
  if (cells != heatmap->values.size()) return "heatmap values do not fill layers x heads";
  return "";
}

template <size_t index = 0>
std::optional<Event> MakeEvent(std::string_view type) {
  if constexpr (index == std::variant_size_v<Event>) {
    return std::nullopt;
  } else {
    return type == kTypes[index] ? Event(std::in_place_index<index>) : MakeEvent<index + 1>(type);
  }
}

ParseResult ParseObject(const Json& json) {
  if (json.is_discarded()) return {std::nullopt, "not valid JSON"};
  if (!json.is_object()) return {std::nullopt, "not a JSON object"};
  std::string type;
  Reader reader(json);
  reader("type", type);
  if (!reader.error().empty()) return {std::nullopt, reader.error()};
  std::optional<Event> event = MakeEvent(type);
  if (!event) return {std::nullopt, "unknown type '" + type + "'"};
  std::visit([&](auto& record) { VisitFields(reader, record); }, *event);
  std::string error = reader.error().empty() ? CheckShape(*event) : reader.error();
  if (!error.empty()) return {std::nullopt, type + ": " + error};
  return {std::move(event), ""};
}

}  // namespace

std::string Encode(const Event& event) {
  Json json = {{"type", kTypes[event.index()]}};
  Writer writer(json);
  std::visit([&](const auto& record) { VisitFields(writer, record); }, event);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

ParseResult Parse(std::string_view line) {
  if (line.size() > kMaxLineBytes)
    return {std::nullopt, "line is longer than " + std::to_string(kMaxLineBytes) + " bytes"};
  try {
    if (std::optional<Metrics> metrics = ReadPlainMetrics(line)) return {Event(*std::move(metrics)), ""};
    return ParseObject(Json::parse(line, nullptr, /*allow_exceptions=*/false));
  } catch (const std::exception& e) {  // out of memory, or a library check that the ones above missed
    return {std::nullopt, e.what()};
  }
}

}  // namespace sink::pipe
