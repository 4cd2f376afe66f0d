// Everything as one JSON document, and what the script for W&B reads; see export.h.
#include <cmath>
#include <map>
#include <utility>

#include "coordinator/export/export.h"
#include "coordinator/job/job_state.h"

namespace sink::exports {
namespace {

using report::Json;

Json Number(double value) { return std::isfinite(value) ? Json(value) : Json(ExactText(value)); }

Json CurvesJson(const report::Run& run) {
  Json curves = Json::object();
  for (const auto& [name, curve] : run.curves) {
    Json points = Json::array();
    for (const report::Sample& sample : curve) points.push_back({sample.step, Number(sample.value)});
    curves[name] = std::move(points);
  }
  return curves;
}

Json MapsJson(const report::Run& run) {
  Json maps = Json::array();
  for (const report::HeatMap& map : run.heat_maps) {
    Json values = Json::array();
    for (double value : map.values) values.push_back(Number(value));
    maps.push_back({{"name", map.name},
                    {"step", map.step},
                    {"layers", map.layers},
                    {"heads", map.heads},
                    {"values", std::move(values)}});
  }
  return maps;
}

std::string Text(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string ToJson(const report::Study& study) {
  Json experiments = Json::array(), jobs = Json::array();
  for (const report::Experiment& experiment : study.experiments) {
    Json points = Json::array();
    for (const report::Point& point : experiment.points)
      points.push_back({{"label", point.label}, {"jobs", point.runs}});
    experiments.push_back({{"name", experiment.name},
                           {"arithmetic", experiment.arithmetic},
                           {"paper", experiment.paper},
                           {"points", std::move(points)}});
  }
  for (const PlacedRun& job : Jobs(study)) {
    const report::Run& run = *job.run;
    jobs.push_back({{"id", run.id},
                    {"experiment", job.experiment},
                    {"label", job.label},
                    {"state", run.state},
                    {"reason", run.reason},
                    {"attempt", run.attempt},
                    {"worker", run.worker},
                    {"step", run.step},
                    {"max_steps", run.max_steps},
                    {"tokens", run.tokens},
                    {"started_ms", run.started_ms},
                    {"finished_ms", run.finished_ms},
                    {"data_set", run.data_set},
                    {"data_content", run.data_content},
                    {"config", run.config},
                    {"curves", CurvesJson(run)},
                    {"heat_maps", MapsJson(run)}});
  }
  return Text({{"sweep", study.sweep},
               {"created_ms", study.created_ms},
               {"experiments", std::move(experiments)},
               {"jobs", std::move(jobs)}},
              1);
}

std::string ToWandbInput(const report::Study& study) {
  const auto seconds = [](int64_t ms) { return static_cast<double>(ms) / 1000; };
  Json runs = Json::array();
  for (const PlacedRun& job : Jobs(study)) {
    const report::Run& run = *job.run;
    std::map<int64_t, Json> by_step;
    for (const auto& [name, curve] : run.curves)
      for (const report::Sample& sample : curve) by_step[sample.step][name] = Number(sample.value);
    Json history = Json::array();
    for (auto& [step, values] : by_step)
      history.push_back({step, seconds(PointTimeMs(study, run, step)), std::move(values)});
    Json config = run.config;
    if (!run.data_content.empty()) config["data_content"] = run.data_content;
    runs.push_back({{"id", run.id},
                    {"name", job.experiment + " " + report::ShortLabel(job.label)},
                    {"group", job.experiment},
                    {"tags", {run.state}},
                    {"config", std::move(config)},
                    {"started", seconds(run.started_ms)},
                    {"duration", seconds(EndMs(study, run) - run.started_ms)},
                    {"failed", ParseName<JobState>(run.state) == JobState::kFailed},
                    {"history", std::move(history)}});
  }
  return Text({{"project", study.sweep}, {"runs", std::move(runs)}}, -1);
}

}  // namespace sink::exports
