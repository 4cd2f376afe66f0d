// See study.h.
#include "coordinator/report/study.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "proto/config/choices.h"

namespace sink::report {
namespace {

void Collect(const Json& value, const std::string& path, std::map<std::string, std::set<std::string>>* seen,
             std::vector<std::string>* order) {
  if (value.is_object()) {
    for (const auto& [key, child] : value.items()) Collect(child, path.empty() ? key : path + "." + key, seen, order);
    return;
  }
  if (!seen->contains(path)) order->push_back(path);
  (*seen)[path].insert(value.dump());
}

bool BearsOnTheResult(const std::string& key) {
  return key != "train.seed" && key != "train.log_every" && key != "train.micro_batch_size" &&
         !key.starts_with("checkpoint.");
}

// Every setting that bears on the result by its dotted key, in order.
void Flatten(const Json& value, const std::string& path, std::vector<std::pair<std::string, std::string>>* out) {
  if (value.is_object()) {
    for (const auto& [key, child] : value.items()) Flatten(child, path.empty() ? key : path + "." + key, out);
  } else if (BearsOnTheResult(path)) {
    out->emplace_back(path, value.dump());
  }
}
std::vector<std::pair<std::string, std::string>> Flat(const Run& run) {
  std::vector<std::pair<std::string, std::string>> out;
  Flatten(run.settings, "", &out);
  return out;
}

void AddLeaves(const Json& value, const std::string& path, std::vector<std::string>* keys) {
  if (value.is_object()) {
    for (const auto& [key, child] : value.items()) AddLeaves(child, path.empty() ? key : path + "." + key, keys);
  } else if (BearsOnTheResult(path)) {
    keys->push_back(path);
  }
}

// The keys below `path` in which two values differ. Names are put together only where they are needed: a report asks
// this of every two settings of a study.
void Differ(const Json& a, const Json& b, const std::string& path, std::vector<std::string>* keys) {
  if (a == b) return;
  if (!a.is_object() || !b.is_object()) {
    AddLeaves(a, path, keys);
    if (b.is_object() || a.is_object()) AddLeaves(b, path, keys);
    return;
  }
  const auto below = [&path](const std::string& key) { return path.empty() ? key : path + "." + key; };
  for (const auto& [key, child] : a.items()) {
    const auto other = b.find(key);
    if (other == b.end())
      AddLeaves(child, below(key), keys);
    else if (child != *other)
      Differ(child, *other, below(key), keys);
  }
  for (const auto& [key, child] : b.items())
    if (!a.contains(key)) AddLeaves(child, below(key), keys);
}

std::string ShortWord(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos) return word;
  const size_t dot = word.rfind('.', equals), owner = word.find('/', equals);
  const size_t key = dot == std::string::npos ? 0 : dot + 1, value = owner == std::string::npos ? equals : owner;
  return word.substr(key, equals - key) + "=" + word.substr(value + 1);
}

}  // namespace

const Json& Setting(const Run& run, const std::string& key) {
  static const Json kNull;
  const Json* value = &run.settings;
  for (size_t begin = 0; begin <= key.size();) {
    const size_t end = std::min(key.find('.', begin), key.size());
    const auto found = value->is_object() ? value->find(key.substr(begin, end - begin)) : value->end();
    if (!value->is_object() || found == value->end()) return kNull;
    value = &*found;
    begin = end + 1;
  }
  return *value;
}

std::string SettingText(const Run& run, const std::string& key) {
  const Json& value = Setting(run, key);
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number_float()) return value.dump();
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value.get<double>());
  return text;
}

bool IsEvaluation(const Run& run) { return ParseName<JobKind>(SettingText(run, "kind")) == JobKind::kEvaluate; }

bool Trains(const Study& study, const Experiment& experiment) {
  for (const Point& point : experiment.points)
    for (const std::string& id : point.runs)
      if (!IsEvaluation(study.run(id))) return true;
  return false;
}

int64_t SeedOf(const Run& run) {
  const Json& seed = Setting(run, "train.seed");
  return seed.is_number_integer() ? seed.get<int64_t>() : 0;
}

std::vector<std::string> VaryingKeys(const Study& study, const Experiment& experiment) {
  std::map<std::string, std::set<std::string>> seen;
  std::vector<std::string> order, varying;
  for (const Point& point : experiment.points)
    for (const std::string& id : point.runs) Collect(study.run(id).settings, "", &seen, &order);
  for (const std::string& key : order)
    if (key != "train.seed" && seen[key].size() > 1) varying.push_back(key);
  return varying;
}

std::vector<std::string> DifferingKeys(const Run& a, const Run& b) {
  std::vector<std::string> keys;
  Differ(a.settings, b.settings, "", &keys);
  return keys;
}

std::string SettingsWithout(const Run& run, const std::vector<std::string>& keys) {
  std::string text;
  for (const auto& [key, value] : Flat(run))
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) text += key + "=" + value + "\n";
  return text;
}

std::string ShortLabel(const std::string& label) {
  std::string out;
  for (size_t begin = 0; begin < label.size();) {
    size_t end = std::min(label.find(' ', begin), label.size());
    const std::string word = label.substr(begin, end - begin);
    out += (out.empty() ? "" : " ") + ShortWord(word);
    begin = end + 1;
  }
  return out;
}

}  // namespace sink::report
