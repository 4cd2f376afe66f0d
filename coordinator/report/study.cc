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

std::vector<std::string> VaryingKeys(const Study& study, const Experiment& experiment) {
  std::map<std::string, std::set<std::string>> seen;
  std::vector<std::string> order, varying;
  for (const Point& point : experiment.points)
    for (const std::string& id : point.runs) Collect(study.run(id).settings, "", &seen, &order);
  for (const std::string& key : order)
    if (key != "train.seed" && seen[key].size() > 1) varying.push_back(key);
  return varying;
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
