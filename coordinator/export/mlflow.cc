// MLflow's file store; see export.h. The layout is that of mlflow.store.tracking.file_store.FileStore.
#include <cmath>

#include "coordinator/export/export.h"
#include "coordinator/job/job_state.h"

namespace sink::exports {
namespace {

using report::Json;

// YAML reads any JSON string as the same text.
std::string Quoted(const std::string& text) { return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace); }

// MLflow wants digits; FNV-1a of the name, so that the same sweep is the same experiment.
std::string ExperimentId(const std::string& name) {
  uint64_t hash = 14695981039346656037u;
  for (unsigned char byte : name) hash = (hash ^ byte) * 1099511628211u;
  return std::to_string(hash % 900'000'000'000'000'000u + 100'000'000'000'000'000u);
}

// RunStatus of MLflow.
int Status(const std::string& state) {
  constexpr int kRunning = 1, kScheduled = 2, kFinished = 3, kFailed = 4, kKilled = 5;
  switch (ParseName<JobState>(state).value_or(JobState::kRunning)) {
    case JobState::kQueued:
      return kScheduled;
    case JobState::kSucceeded:
      return kFinished;
    case JobState::kFailed:
      return kFailed;
    case JobState::kCancelled:
      return kKilled;
    case JobState::kLeased:
    case JobState::kRunning:
    case JobState::kDisconnected:
    case JobState::kLost:
    case JobState::kFinalizing:
      break;
  }
  return kRunning;
}

void AddParameters(const Json& value, const std::string& path, const std::string& folder,
                   std::vector<OutputFile>* files) {
  if (value.is_object()) {
    for (const auto& [key, child] : value.items())
      AddParameters(child, path.empty() ? key : path + "." + key, folder, files);
    return;
  }
  files->push_back({folder + "/params/" + path, value.is_string() ? value.get<std::string>() : value.dump()});
}

std::string MetricLines(const report::Run& run, const report::Curve& curve) {
  std::string out;
  for (const report::Sample& sample : curve) {
    const std::string value = std::isnan(sample.value) ? "nan" : ExactText(sample.value);
    out += std::to_string(run.started_ms) + " " + value + " " + std::to_string(sample.step) + "\n";
  }
  return out;
}

void AddRun(const PlacedRun& job, const std::string& experiment_id, std::vector<OutputFile>* files) {
  const report::Run& run = *job.run;
  const std::string folder = experiment_id + "/" + run.id;
  const std::string name = job.experiment + " " + report::ShortLabel(job.label);
  files->push_back({folder + "/meta.yaml",
                    "artifact_uri: " + Quoted("./" + folder + "/artifacts") +
                        "\nend_time: " + (run.finished_ms > 0 ? std::to_string(run.finished_ms) : "null") +
                        "\nentry_point_name: ''\nexperiment_id: '" + experiment_id +
                        "'\nlifecycle_stage: active\nrun_id: " + Quoted(run.id) + "\nrun_name: " + Quoted(name) +
                        "\nrun_uuid: " + Quoted(run.id) + "\nsource_name: ''\nsource_type: 4\nsource_version: ''\n" +
                        "start_time: " + std::to_string(run.started_ms) +
                        "\nstatus: " + std::to_string(Status(run.state)) + "\ntags: []\nuser_id: ''\n"});
  AddParameters(run.config, "", folder, files);
  for (const auto& [metric, curve] : run.curves)
    files->push_back({folder + "/metrics/" + metric, MetricLines(run, curve)});
  files->push_back({folder + "/tags/mlflow.runName", name});
  files->push_back({folder + "/tags/sink.experiment", job.experiment});
  files->push_back({folder + "/tags/sink.label", job.label});
  files->push_back({folder + "/tags/sink.state", run.state});
  files->push_back({folder + "/tags/sink.worker", run.worker});
}

}  // namespace

std::vector<OutputFile> ToMlflow(const report::Study& study) {
  const std::string id = ExperimentId(study.sweep);
  const std::string created = std::to_string(study.created_ms);
  std::vector<OutputFile> files = {
      {id + "/meta.yaml", "artifact_location: './" + id + "'\ncreation_time: " + created + "\nexperiment_id: '" + id +
                              "'\nlast_update_time: " + created +
                              "\nlifecycle_stage: active\nname: " + Quoted(study.sweep) + "\n"}};
  for (const PlacedRun& job : Jobs(study)) AddRun(job, id, &files);
  return files;
}

}  // namespace sink::exports
