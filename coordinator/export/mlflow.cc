// MLflow's file store; see export.h. The layout is that of mlflow.store.tracking.file_store.FileStore.
#include <cmath>
#include <string_view>

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

// RFC 8089, of an absolute path.
std::string FileUri(const std::string& path) {
  std::string out = "file://";
  for (const unsigned char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("/._-~").find(static_cast<char>(c)) != std::string_view::npos;
    constexpr char kDigits[] = "0123456789ABCDEF";
    out += plain ? std::string(1, static_cast<char>(c)) : std::string{'%', kDigits[c >> 4], kDigits[c & 15]};
  }
  return out;
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

std::string MetricLines(const report::Study& study, const report::Run& run, const report::Curve& curve) {
  std::string out;
  for (const report::Sample& sample : curve) {
    const std::string value = std::isnan(sample.value) ? "nan" : ExactText(sample.value);
    out +=
        std::to_string(PointTimeMs(study, run, sample.step)) + " " + value + " " + std::to_string(sample.step) + "\n";
  }
  return out;
}

void AddRun(const report::Study& study, const PlacedRun& job, const std::string& experiment_id, const std::string& root,
            std::vector<OutputFile>* files) {
  const report::Run& run = *job.run;
  const std::string folder = experiment_id + "/" + run.id;
  const std::string name = job.experiment + " " + report::ShortLabel(job.label);
  files->push_back({folder + "/meta.yaml",
                    "artifact_uri: " + Quoted(FileUri(root + "/" + folder + "/artifacts")) +
                        "\nend_time: " + (run.finished_ms > 0 ? std::to_string(run.finished_ms) : "null") +
                        "\nentry_point_name: ''\nexperiment_id: '" + experiment_id +
                        "'\nlifecycle_stage: active\nrun_id: " + Quoted(run.id) + "\nrun_name: " + Quoted(name) +
                        "\nrun_uuid: " + Quoted(run.id) + "\nsource_name: ''\nsource_type: 4\nsource_version: ''\n" +
                        "start_time: " + std::to_string(run.started_ms) +
                        "\nstatus: " + std::to_string(Status(run.state)) + "\ntags: []\nuser_id: ''\n"});
  for (const auto& [name, value] : Fields(run.config))
    files->push_back({folder + "/params/" + name, value.is_string() ? value.get<std::string>() : value.dump()});
  for (const auto& [metric, curve] : run.curves)
    files->push_back({folder + "/metrics/" + metric, MetricLines(study, run, curve)});
  // A run's page asks for its artifacts, and is not found where their folder is not.
  files->push_back({folder + "/artifacts/config.json", run.config.dump(1) + "\n"});
  files->push_back({folder + "/tags/mlflow.runName", name});
  files->push_back({folder + "/tags/sink.experiment", job.experiment});
  files->push_back({folder + "/tags/sink.label", job.label});
  files->push_back({folder + "/tags/sink.state", run.state});
  files->push_back({folder + "/tags/sink.worker", run.worker});
  if (!run.data_content.empty()) files->push_back({folder + "/tags/sink.data_content", run.data_content});
}

}  // namespace

std::vector<OutputFile> ToMlflow(const report::Study& study, const std::string& folder) {
  const std::string id = ExperimentId(study.sweep);
  const std::string created = std::to_string(study.created_ms);
  std::vector<OutputFile> files = {
      {id + "/meta.yaml", "artifact_location: " + Quoted(FileUri(folder + "/" + id)) + "\ncreation_time: " + created +
                              "\nexperiment_id: '" + id + "'\nlast_update_time: " + created +
                              "\nlifecycle_stage: active\nname: " + Quoted(study.sweep) + "\n"}};
  for (const PlacedRun& job : Jobs(study)) AddRun(study, job, id, folder, &files);
  return files;
}

}  // namespace sink::exports
