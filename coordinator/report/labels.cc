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
  std::vector<const Point*> points;  // in the order in which looks are given out
  const Point* const base = BaseOf(study);
  if (base) points.push_back(base);
  const std::optional<Removal> removal = WhatRemovesTheSink(study);
  if (removal)
    for (const Variant& variant : removal->variants) points.push_back(variant.point);
  for (const Experiment& experiment : study.experiments)
    for (const Point& point : experiment.points) points.push_back(&point);
  std::map<std::string, int> looks;  // by setting
  const int first = base ? 0 : 1;
  for (const Point* point : points) {
    if (point->runs.empty()) continue;
    const std::string setting = SettingsWithout(study.run(point->runs.front()), {});
    const int next = first + static_cast<int>(looks.size());
    colors_[point->runs.front()] = looks.emplace(setting, next).first->second;
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
