// What several formats share; see export.h.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "coordinator/export/export.h"

namespace sink::exports {
namespace {

void AddFields(const report::Json& value, const std::string& path,
               std::vector<std::pair<std::string, report::Json>>* fields) {
  if (!value.is_object()) return fields->push_back({path, value});
  for (const auto& [key, child] : value.items()) AddFields(child, path.empty() ? key : path + "." + key, fields);
}

}  // namespace

std::vector<std::pair<std::string, report::Json>> Fields(const report::Json& config) {
  std::vector<std::pair<std::string, report::Json>> fields;
  AddFields(config, "", &fields);
  return fields;
}

int64_t EndMs(const report::Study& study, const report::Run& run) {
  if (run.started_ms == 0) return 0;
  return std::max(run.started_ms, run.finished_ms > 0 ? run.finished_ms : study.reported_ms);
}

int64_t PointTimeMs(const report::Study& study, const report::Run& run, int64_t step) {
  // A job that stopped early, or is under way, spent its time on the steps that it has made.
  const int64_t steps = std::max<int64_t>(run.step > 0 ? run.step : run.max_steps, 1);
  const double share = std::clamp(static_cast<double>(step) / static_cast<double>(steps), 0.0, 1.0);
  return run.started_ms + std::llround(share * static_cast<double>(EndMs(study, run) - run.started_ms));
}

std::vector<PlacedRun> Jobs(const report::Study& study) {
  std::vector<PlacedRun> jobs;
  std::set<std::string> seen;
  for (const report::Experiment& experiment : study.experiments) {
    for (const report::Point& point : experiment.points) {
      for (size_t i = 0; i < point.runs.size(); ++i) {
        if (!seen.insert(point.runs[i]).second) continue;
        const std::string replica = point.runs.size() > 1 ? " replica=" + std::to_string(i + 1) : "";
        jobs.push_back({&study.run(point.runs[i]), experiment.name, point.label + replica, point.label});
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
