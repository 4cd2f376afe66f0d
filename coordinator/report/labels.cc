// See labels.h.
#include "coordinator/report/labels.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include "coordinator/report/removal.h"

namespace sink::report {
namespace {

std::vector<std::string> Words(const std::string& label) {
  std::istringstream in(label);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

}  // namespace

std::string LabelOf(const Experiment& experiment, const Point& point) {
  std::string label;
  for (const std::string& word : Words(point.label)) {
    const bool in_all = std::all_of(experiment.points.begin(), experiment.points.end(), [&word](const Point& other) {
      const std::vector<std::string> words = Words(other.label);
      return std::find(words.begin(), words.end(), word) != words.end();
    });
    if (!in_all) label += (label.empty() ? "" : " ") + word;
  }
  return ShortLabel(label.empty() ? point.label : label);
}

Palette::Palette(const Study& study) {
  std::map<std::string, int> looks;  // by setting
  const Point* const base = BaseOf(study);
  int next = base ? 0 : 1;
  const auto look_of = [&](const Point& point) {
    const auto [look, is_new] = looks.emplace(SettingsWithout(study.run(point.runs.front()), {}), next);
    next += is_new;
    return colors_.emplace(point.runs.front(), look->second).first->second;
  };
  if (base) look_of(*base);
  if (const std::optional<Removal> removal = WhatRemovesTheSink(study))
    for (const Variant& variant : removal->variants)
      if (!variant.point->runs.empty()) look_of(*variant.point);
  for (const Experiment& experiment : study.experiments) {
    std::map<int, std::string> used;  // looks in this experiment, with the first run of whom
    for (const Point& point : experiment.points) {
      if (point.runs.empty()) continue;
      const std::string& run = point.runs.front();
      const auto [owner, is_first] = used.emplace(look_of(point), run);
      if (is_first || owner->second == run) continue;
      colors_[run] = next;  // seeds that an experiment holds against each other
      used.emplace(next++, run);
    }
  }
}

int Palette::ColorOf(const Point& point) const {
  const auto color = point.runs.empty() ? colors_.end() : colors_.find(point.runs.front());
  return color == colors_.end() ? -1 : color->second;
}

std::vector<Line> LinesOf(const Experiment& experiment, const Palette& palette) {
  std::vector<Line> lines;
  for (const Point& point : experiment.points)
    lines.push_back({&point, LabelOf(experiment, point), palette.ColorOf(point)});
  return lines;
}

std::vector<Line> LinesOf(const std::vector<const Point*>& points) {
  std::vector<Line> lines;
  for (const Point* point : points) lines.push_back({point, ShortLabel(point->label), static_cast<int>(lines.size())});
  return lines;
}

}  // namespace sink::report
