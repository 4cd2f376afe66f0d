// Hand-made studies for the tests of reports and exports. Values only.
#pragma once

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/report/study.h"

namespace sink::report::testing {

// 32 digits that begin with n.
inline std::string Id(int n) {
  char text[40];
  std::snprintf(text, sizeof text, "%04d%028d", n, 0);
  return text;
}

// Sets a dotted key.
inline void Set(Json* settings, const std::string& key, Json value) {
  const size_t dot = key.find('.');
  if (dot == std::string::npos)
    (*settings)[key] = std::move(value);
  else
    Set(&(*settings)[key.substr(0, dot)], key.substr(dot + 1), std::move(value));
}

// A run of 100 steps that succeeded, measured every 50 steps: nothing at first, the given values at the end.
inline Run FinishedRun(int n, const std::vector<std::pair<std::string, Json>>& settings,
                       const std::vector<std::pair<std::string, double>>& metrics) {
  Run run;
  run.id = Id(n);
  run.state = "SUCCEEDED";
  run.attempt = 1;
  run.worker = "w1";
  run.step = run.max_steps = 100;
  run.started_ms = 1'700'000'000'000;
  run.finished_ms = run.started_ms + 60'000;
  Set(&run.settings, "eval.tokens", 64);
  Set(&run.settings, "train.global_batch_size", 8);
  Set(&run.settings, "train.sequence_length", 64);
  for (const auto& [key, value] : settings) Set(&run.settings, key, value);
  run.config = run.settings;
  for (const auto& [name, value] : metrics) run.curves[name] = {{0, 0.0, 1}, {50, value / 2, 1}, {100, value, 1}};
  return run;
}

// Adds a point of the study's last experiment with these replicas.
inline void AddPoint(Study* study, const std::string& label, const std::vector<Run>& runs) {
  Point point{label, {}};
  for (const Run& run : runs) {
    point.runs.push_back(run.id);
    study->runs[run.id] = run;
  }
  study->experiments.back().points.push_back(std::move(point));
}

inline Study EmptyStudy(const std::string& experiment) {
  Study study;
  study.sweep = "study";
  study.created_ms = 1'700'000'000'000;
  study.reported_ms = 1'700'000'100'000;
  study.command = "sinkctl report study";
  study.version = "1.2.3";
  study.machines = {{"w1", "cpu", 2, "1.2.3"}};
  study.experiments.push_back({experiment, "", Json::object(), {}});
  return study;
}

// Adds a point of `seeds` finished runs whose values lie evenly within `spread` on both sides of the given ones. Their
// seeds begin with `first`; 0: they are no other point's.
inline void AddSeeds(Study* study, const std::string& label, const std::vector<std::pair<std::string, Json>>& settings,
                     const std::vector<std::pair<std::string, double>>& metrics, double spread = 0.01, int seeds = 5,
                     int first = 0) {
  if (first == 0) first = 42 + static_cast<int>(study->runs.size());
  std::vector<Run> runs;
  for (int seed = 0; seed < seeds; ++seed) {
    std::vector<std::pair<std::string, double>> values = metrics;
    for (auto& [name, value] : values) value += seeds == 1 ? 0 : spread * (2.0 * seed / (seeds - 1) - 1);
    std::vector<std::pair<std::string, Json>> all = settings;
    all.emplace_back("train.seed", first + seed);
    runs.push_back(FinishedRun(static_cast<int>(study->runs.size()) + seed, all, values));
  }
  AddPoint(study, label, runs);
}

}  // namespace sink::report::testing
