// What several formats share; see export.h.
#include <charconv>
#include <cmath>
#include <set>

#include "coordinator/export/export.h"

namespace sink::exports {

std::vector<PlacedRun> Jobs(const report::Study& study) {
  std::vector<PlacedRun> jobs;
  std::set<std::string> seen;
  for (const report::Experiment& experiment : study.experiments) {
    for (const report::Point& point : experiment.points) {
      for (size_t i = 0; i < point.runs.size(); ++i) {
        if (!seen.insert(point.runs[i]).second) continue;
        const std::string replica = point.runs.size() > 1 ? " replica=" + std::to_string(i + 1) : "";
        jobs.push_back({&study.run(point.runs[i]), experiment.name, point.label + replica});
      }
    }
  }
  return jobs;
}

std::string ExactText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value);
  return std::string(text, end.ptr);
}

}  // namespace sink::exports
