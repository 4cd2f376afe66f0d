#include "sweeps/settings.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "proto/config/names.h"

namespace sink::sweeps {
namespace {

using nlohmann::json;

// Where each field stands in a configuration's JSON; made once, as every job of a sweep needs all of them.
const std::vector<json::json_pointer>& Pointers() {
  static const auto* const pointers = [] {
    auto* list = new std::vector<json::json_pointer>;
    for (const FieldInfo& field : JobConfigFields())
      list->emplace_back(absl::StrCat("/", absl::StrReplaceAll(field.path, {{".", "/"}})));
    return list;
  }();
  return *pointers;
}

// The whole text as a decimal number. No infinities, no hexadecimal, no "1_000".
template <typename Number>
bool ReadNumber(const std::string& text, Number* number) {
  const size_t first = !text.empty() && text[0] == '-' ? 1 : 0;
  if (first >= text.size() || (text[first] != '.' && (text[first] < '0' || text[first] > '9'))) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string Bound(double bound) { return absl::StrFormat("%.16g", bound); }

absl::StatusOr<json> ReadOneNumber(const FieldInfo& field, const Node& node) {
  const auto wrong = [&](absl::string_view what) { return ErrorAt(node.at, absl::StrCat(field.path, " ", what)); };
  if (!node.IsScalar()) return wrong(absl::StrCat("must be a number, not ", KindName(node)));
  if (std::find(field.choices.begin(), field.choices.end(), node.text) != field.choices.end()) return json(node.text);
  double number = 0;
  if (!ReadNumber(node.text, &number)) return wrong(absl::StrCat("must be a number, not ", Quoted(node.text)));
  if (!node.plain) return wrong("must be a number; remove the quotes");
  if (number < field.min || number > field.max) {
    return wrong(absl::StrCat("must be between ", Bound(field.min), " and ", Bound(field.max)));
  }
  if (field.type != FieldType::kInteger) return json(number);
  int64_t integer = 0;
  if (!ReadNumber(node.text, &integer)) {
    return wrong(absl::StrCat("must be a whole number, written in digits, not ", Quoted(node.text)));
  }
  return json(integer);
}

absl::StatusOr<json> ReadString(const FieldInfo& field, const Node& node) {
  const auto wrong = [&](absl::string_view what) { return ErrorAt(node.at, absl::StrCat(field.path, " ", what)); };
  if (!node.IsScalar()) return wrong(absl::StrCat("must be a string, not ", KindName(node)));
  double number = 0;
  if (node.plain && (ReadNumber(node.text, &number) || node.text == "true" || node.text == "false")) {
    return wrong("must be a string; put it in quotes");
  }
  if (field.choices.empty()) {
    // A model's name may have its owner's before it; proto/config knows which field is one.
    const bool legal = field.path == "evaluate.model" ? IsHubName(node.text) : IsPlainName(node.text);
    if (legal) return json(node.text);
    return wrong("must be a plain name: 1 to 64 of A-Z a-z 0-9 . _ -, not starting with . or -");
  }
  if (std::find(field.choices.begin(), field.choices.end(), node.text) != field.choices.end()) return json(node.text);
  return wrong(absl::StrCat("cannot be ", Quoted(node.text), Suggestion(node.text, field.choices)));
}

absl::StatusOr<json> ReadNumberList(const FieldInfo& field, const Node& node) {
  if (!node.IsList() || node.items.empty() || node.items.size() > 64) {
    return ErrorAt(node.at, absl::StrCat(field.path, " must be a list of 1 to 64 numbers"));
  }
  json list = json::array();
  for (const Node& item : node.items) {
    absl::StatusOr<json> number = ReadOneNumber(field, item);
    if (!number.ok()) return number;
    list.push_back(*std::move(number));
  }
  return list;
}

absl::StatusOr<json> ReadNameList(const FieldInfo& field, const Node& node) {
  constexpr size_t kMaxNames = 64;
  if (!node.IsList() || node.items.size() > kMaxNames) {
    return ErrorAt(node.at, absl::StrCat(field.path, " must be a list of at most ", kMaxNames, " names"));
  }
  json list = json::array();
  for (const Node& item : node.items) {
    absl::StatusOr<json> name = ReadString(field, item);
    if (!name.ok()) return name;
    list.push_back(*std::move(name));
  }
  return list;
}

absl::StatusOr<json> ReadBoolean(const FieldInfo& field, const Node& node) {
  if (node.IsScalar() && node.plain && (node.text == "true" || node.text == "false")) return json(node.text == "true");
  return ErrorAt(node.at, absl::StrCat(field.path, " must be true or false, without quotes"));
}

// Candidates for a misspelt path: the fields of its section if there is such a section, else all of them.
std::vector<std::string> Candidates(absl::string_view path, bool* in_section) {
  const std::string prefix = absl::StrCat(path.substr(0, path.find('.')), ".");
  std::vector<std::string> section, all;
  for (const FieldInfo& field : JobConfigFields()) {
    all.push_back(field.path);
    if (field.path.compare(0, prefix.size(), prefix) == 0) section.push_back(field.path);
  }
  *in_section = !section.empty();
  return section.empty() ? all : section;
}

absl::Status ReadSectionAs(const Node& node, const std::string& path, Settings* settings) {
  const std::string prefix = path + ".";
  const bool is_group = std::any_of(JobConfigFields().begin(), JobConfigFields().end(), [&](const FieldInfo& field) {
    return field.path.compare(0, prefix.size(), prefix) == 0;
  });
  if (!is_group) {
    absl::StatusOr<FieldIndex> field = FindField(path, node.key_at);
    if (!field.ok()) return field.status();
    absl::StatusOr<Setting> setting = ReadSetting(*field, node);
    if (!setting.ok()) return setting.status();
    (*settings)[*field] = *std::move(setting);
    return absl::OkStatus();
  }
  if (absl::Status status = ExpectMap(node, path); !status.ok()) return status;
  Mistakes mistakes;
  for (const Node& item : node.items) mistakes.Add(ReadSectionAs(item, absl::StrCat(prefix, item.key), settings));
  return mistakes.status();
}

}  // namespace

const FieldInfo& FieldAt(FieldIndex field) { return JobConfigFields()[field]; }

absl::StatusOr<FieldIndex> FindField(absl::string_view path, const Location& place) {
  static const auto* const indexes = [] {
    auto* map = new std::map<std::string, FieldIndex>;
    for (const FieldInfo& field : JobConfigFields()) map->emplace(field.path, map->size());
    return map;
  }();
  if (const auto found = indexes->find(std::string(path)); found != indexes->end()) return found->second;
  bool in_section = false;
  const std::vector<std::string> candidates = Candidates(path, &in_section);
  std::string suggestion = Suggestion(path, candidates);
  // The names of all sections together are too long for one line.
  if (!in_section && suggestion.find("did you mean") == std::string::npos) {
    suggestion = Suggestion("", SectionNames());
  }
  return ErrorAt(place, absl::StrCat("unknown key ", Quoted(path), suggestion));
}

absl::StatusOr<Setting> ReadSetting(FieldIndex index, const Node& node) {
  const FieldInfo& field = FieldAt(index);
  absl::StatusOr<json> value = json(nullptr);
  switch (field.type) {
    case FieldType::kInteger:
    case FieldType::kNumber:
      value = ReadOneNumber(field, node);
      break;
    case FieldType::kOptionalNumber:
      if (!node.IsNull()) value = ReadOneNumber(field, node);
      break;
    case FieldType::kString:
      value = ReadString(field, node);
      break;
    case FieldType::kBoolean:
      value = ReadBoolean(field, node);
      break;
    case FieldType::kNumberList:
      value = ReadNumberList(field, node);
      break;
    case FieldType::kNameList:
      value = ReadNameList(field, node);
      break;
  }
  if (!value.ok()) return value.status();
  return Setting{*std::move(value), node.at};
}

absl::Status ReadDottedSettings(const Node& map, Settings* settings) {
  if (absl::Status status = ExpectMap(map, map.key); !status.ok()) return status;
  Mistakes mistakes;
  for (const Node& item : map.items) {
    absl::StatusOr<FieldIndex> field = FindField(item.key, item.key_at);
    if (!field.ok()) {
      mistakes.Add(field.status());
      continue;
    }
    absl::StatusOr<Setting> setting = ReadSetting(*field, item);
    if (setting.ok()) (*settings)[*field] = *std::move(setting);
    mistakes.Add(setting.status());
  }
  return mistakes.status();
}

absl::Status ReadSection(const Node& section, Settings* settings) {
  return ReadSectionAs(section, section.key, settings);
}

const std::vector<std::string>& SectionNames() {
  static const auto* const names = [] {
    auto* list = new std::vector<std::string>;
    for (const FieldInfo& field : JobConfigFields()) {
      const std::string name = field.path.substr(0, field.path.find('.'));
      if (std::find(list->begin(), list->end(), name) == list->end()) list->push_back(name);
    }
    return list;
  }();
  return *names;
}

Values DefaultValues() {
  const json defaults = json::parse(PrintEveryField(JobConfig{}));
  Values values;
  for (const json::json_pointer& pointer : Pointers()) values.push_back(defaults.at(pointer));
  return values;
}

void Apply(const Settings& settings, Values* values) {
  for (const auto& [field, setting] : settings) (*values)[field] = setting.value;
}

std::string PrintValue(FieldIndex field, const json& value) {
  return absl::StrCat(FieldAt(field).path, "=", value.is_string() ? value.get<std::string>() : value.dump());
}

JobConfigResult MakeJobConfig(const Values& values) {
  json root = json::object();
  for (size_t i = 0; i < values.size(); ++i) root[Pointers()[i]] = values[i];
  return ParseJobConfig(root.dump());
}

absl::StatusOr<int> ReadInt(const Node& node, int min, int max) {
  int64_t number = 0;
  if (!node.IsScalar() || !node.plain || !ReadNumber(node.text, &number) || number < min || number > max) {
    return ErrorAt(node.at, absl::StrCat(node.key, " must be a whole number between ", min, " and ", max));
  }
  return static_cast<int>(number);
}

absl::StatusOr<json> ReadPublishedNumber(const Node& node) {
  double number = 0;
  if (node.IsNull()) return json(nullptr);
  if (node.IsScalar() && node.plain && ReadNumber(node.text, &number)) return json(number);
  return ErrorAt(node.at, "a published value must be a number or null");
}

absl::Status ExpectMap(const Node& node, absl::string_view what) {
  if (node.IsMap()) return absl::OkStatus();
  return ErrorAt(node.at, absl::StrCat(Quoted(what), " must be a map, not ", KindName(node)));
}

}  // namespace sink::sweeps
