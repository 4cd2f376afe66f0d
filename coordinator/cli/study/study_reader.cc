// See study_reader.h.
#include "coordinator/cli/study/study_reader.h"

#include <algorithm>
#include <set>

#include "coordinator/cli/study/whole_sweep.h"
#include "coordinator/cli/views/documents.h"
#include "coordinator/cli/views/received_json.h"
#include "proto/config/job_config.h"
#include "sink_commit.h"

namespace sink::cli {
namespace {

using report::Curve;
using report::Run;
using report::Study;

report::Json ParseObject(const std::string& text) {
  report::Json json = ReceivedJson(text);
  return json.is_object() ? json : report::Json::object();
}

// The configuration with every field; as it is where this program does not know one of them.
report::Json Settings(const std::string& config_json) {
  const JobConfigResult parsed = ParseJobConfig(config_json);
  return ParseObject(parsed.config ? PrintEveryField(*parsed.config) : config_json);
}

Run MakeRun(const v1::Job& job) {
  const Json document = ToJson(job);
  Run run;
  run.id = job.id();
  run.state = StateName(job.state());
  run.reason = job.message();
  if (const auto failure = document["failure_class"].get<std::string>(); !failure.empty())
    run.reason = failure + (run.reason.empty() ? "" : ": " + run.reason);
  run.attempt = job.attempt();
  run.worker = job.worker();
  run.step = job.progress().step();
  run.max_steps = job.progress().max_steps();
  run.tokens = job.progress().tokens();
  run.started_ms = job.started_ms();
  run.finished_ms = job.finished_ms();
  return run;
}

absl::Status ReadConfigs(Session& session, Study* study) {
  return VisitConfigs(session, study->sweep, [&](const v1::Job& job) {
    const auto run = study->runs.find(job.id());
    if (run == study->runs.end()) return;
    run->second.config = ParseObject(job.config_json());
    run->second.settings = Settings(job.config_json());
    run->second.data_set = job.data_set();
    run->second.data_content = job.data_content();
  });
}

absl::Status ReadMeasurements(Session& session, const StudyFilter& filter, size_t jobs_in_sweep, Study* study) {
  std::set<std::string> ids;
  for (const auto& [id, run] : study->runs) ids.insert(id);
  if (filter.curves) {
    const absl::Status status =
        VisitMetrics(session, study->sweep, jobs_in_sweep, ids, filter.metrics,
                     [study](const std::string& id, const v1::MetricPoint& point) {
                       study->runs[id].curves[point.name()].push_back({point.step(), point.value(), point.attempt()});
                     });
    if (!status.ok()) return status;
    for (auto& [id, run] : study->runs) {
      for (auto& [name, curve] : run.curves)
        std::sort(curve.begin(), curve.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
    }
  }
  if (!filter.heat_maps) return absl::OkStatus();
  return VisitHeatmaps(
      session, study->sweep, jobs_in_sweep, ids, [study](const std::string& id, const v1::Heatmap& map) {
        study->runs[id].heat_maps.push_back(
            {map.name(), map.step(), map.layers(), map.heads(), {map.values().begin(), map.values().end()}});
      });
}

// The workers that the runs name.
absl::Status ReadMachines(Session& session, Study* study) {
  v1::ListWorkersRequest request;
  request.set_retired(true);
  const auto workers = session.client().ListWorkers(request);
  if (!workers.ok()) return workers.status();
  std::set<std::string> names;
  for (const auto& [id, run] : study->runs) names.insert(run.worker);
  for (const v1::Worker& worker : workers->workers())
    if (names.contains(worker.name()))
      study->machines.push_back({worker.name(), worker.device_kind(), worker.devices(), worker.version()});
  std::sort(study->machines.begin(), study->machines.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return absl::OkStatus();
}

// Leaves only what the filter asks for.
absl::Status AddExperiments(const v1::GetStudyResponse& message, const StudyFilter& filter, Study* study) {
  for (const v1::StudyExperiment& source : message.experiments()) {
    if (!filter.experiment.empty() && source.name() != filter.experiment) continue;
    report::Experiment experiment{source.name(), source.arithmetic(), ParseObject(source.paper_json()), {}};
    for (const v1::StudyPoint& point : source.points()) {
      report::Point kept{point.label(), {}};
      for (const std::string& id : point.job_ids())
        if (study->runs.contains(id) && id.starts_with(filter.job)) kept.runs.push_back(id);
      if (!kept.runs.empty() || filter.job.empty()) experiment.points.push_back(std::move(kept));
    }
    if (!experiment.points.empty()) study->experiments.push_back(std::move(experiment));
  }
  if (!study->experiments.empty()) return absl::OkStatus();
  if (!filter.job.empty()) return absl::NotFoundError("no job " + filter.job + " in sweep " + study->sweep);
  std::string names;
  for (const v1::StudyExperiment& source : message.experiments()) names += (names.empty() ? "" : ", ") + source.name();
  return absl::NotFoundError("no experiment " + filter.experiment + " in sweep " + study->sweep + "; it has " + names);
}

}  // namespace

absl::StatusOr<Study> ReadStudy(Session& session, const std::string& sweep, const StudyFilter& filter) {
  const auto jobs = ReadSweep(session, sweep);
  if (!jobs.ok()) return jobs.status();
  v1::GetStudyRequest get_study;
  get_study.set_name(sweep);
  const auto message = session.client().GetStudy(get_study);
  if (!message.ok()) return message.status();

  Study study;
  study.sweep = sweep;
  study.created_ms = jobs->sweep().created_ms();
  study.reported_ms = session.world().now_ms();
  study.version = SINK_VERSION " (commit " SINK_COMMIT ")";
  study.from_labels = message->from_labels();
  for (const v1::Job& job : jobs->jobs()) study.runs.emplace(job.id(), MakeRun(job));
  if (absl::Status status = AddExperiments(*message, filter, &study); !status.ok()) return status;

  std::set<std::string> wanted;
  for (const report::Experiment& experiment : study.experiments)
    for (const report::Point& point : experiment.points) wanted.insert(point.runs.begin(), point.runs.end());
  std::erase_if(study.runs, [&wanted](const auto& entry) { return !wanted.contains(entry.first); });
  absl::Status read = ReadConfigs(session, &study);
  if (read.ok()) read = ReadMeasurements(session, filter, static_cast<size_t>(jobs->jobs_size()), &study);
  if (!read.ok()) return read;
  if (absl::Status status = ReadMachines(session, &study); !status.ok()) return status;
  if (session.world().interrupt.triggered()) return absl::CancelledError("interrupted");
  return study;
}

}  // namespace sink::cli
