// See job_queries.h; Explain is in explain.cc.
#include "coordinator/core/job_queries.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "coordinator/core/job_names.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

// What a reader is told in the place of the lines that are missing before `next`. It has the last one's cursor, so that
// whoever goes on from it gets `next`.
LogLine MissingBefore(const LogLine& next) {
  std::string count = absl::StrCat(next.missing);
  for (size_t digits = 3; digits < count.size(); digits += 4) count.insert(count.size() - digits, ",");
  LogLine line;
  line.cursor = next.cursor - 1;
  line.time_ms = next.time_ms;
  line.attempt = next.attempt;
  line.level = "warning";
  line.text =
      absl::StrCat("(", count, next.missing == 1 ? " line between is" : " lines between are", " no longer kept)");
  return line;
}

// Visits, and names the leader of each job that several workers may have.
store::Snapshot::JobVisitor NamingLeaders(const store::Snapshot::JobVisitor& visit, Gangs* gangs) {
  if (gangs == nullptr) return visit;
  return [&visit, gangs](const Job& job) {
    if (IsLive(job.state) && job.group() < job.devices) (*gangs)[job.id] = {job.worker};
    visit(job);
  };
}

// Names the others of each, and leaves those out that have none.
absl::Status AddMembers(store::Snapshot& rows, Gangs* gangs) {
  if (gangs == nullptr || gangs->empty()) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.LiveMembers());
  for (const GangMember& member : members) {
    if (const auto gang = gangs->find(member.job_id); gang != gangs->end()) gang->second.push_back(member.worker);
  }
  absl::erase_if(*gangs, [](const auto& gang) { return gang.second.size() < 2; });
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Sweep>> JobQueries::ListSweeps() {
  std::vector<Sweep> sweeps;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(sweeps, rows.ListSweeps());
    return absl::OkStatus();
  }));
  return sweeps;
}

absl::StatusOr<Sweep> JobQueries::GetSweep(const std::string& name) {
  Sweep sweep;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(sweep, rows.GetSweep(name));
    return absl::OkStatus();
  }));
  return sweep;
}

absl::StatusOr<Sweep> JobQueries::VisitSweep(const std::string& name, const store::Snapshot::JobVisitor& visit,
                                             Gangs* gangs) {
  Sweep sweep;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(sweep, rows.GetSweep(name));
    store::JobQuery query;
    query.sweep = name;
    SINK_RETURN_IF_ERROR(rows.VisitJobs(query, NamingLeaders(visit, gangs)));
    return AddMembers(rows, gangs);
  }));
  return sweep;
}

absl::StatusOr<Sweep> JobQueries::VisitJobsOf(const std::string& name, const std::vector<std::string>& ids,
                                              const store::Snapshot::JobVisitor& visit, Gangs* gangs) {
  const store::Snapshot::JobVisitor visit_and_name = NamingLeaders(visit, gangs);
  Sweep sweep;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(sweep, rows.GetSweep(name));
    for (const std::string& id : ids) {
      SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(id));
      const auto others = std::stable_partition(job.sweeps.begin(), job.sweeps.end(),
                                                [&](const Membership& place) { return place.sweep == name; });
      if (others != job.sweeps.begin()) visit_and_name(job);
    }
    return AddMembers(rows, gangs);
  }));
  return sweep;
}

absl::StatusOr<std::string> JobQueries::GetStudy(const std::string& name) {
  std::string study_json;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(study_json, rows.GetStudy(name));
    return absl::OkStatus();
  }));
  return study_json;
}

absl::Status JobQueries::VisitJobs(const store::JobQuery& query, const store::Snapshot::JobVisitor& visit,
                                   Gangs* gangs) {
  return context_->Read([&](store::Snapshot& rows) -> absl::Status {
    if (!query.sweep.empty()) SINK_RETURN_IF_ERROR(rows.GetSweep(query.sweep).status());
    store::JobQuery with_places = query;
    with_places.places = true;
    SINK_RETURN_IF_ERROR(rows.VisitJobs(with_places, NamingLeaders(visit, gangs)));
    return AddMembers(rows, gangs);
  });
}

absl::StatusOr<std::vector<Job>> JobQueries::ListJobs(const store::JobQuery& query, Gangs* gangs) {
  std::vector<Job> jobs;
  SINK_RETURN_IF_ERROR(VisitJobs(
      query, [&jobs](const Job& job) { jobs.push_back(job); }, gangs));
  return jobs;
}

absl::StatusOr<std::vector<JobWithConfig>> JobQueries::ListJobsWithConfigs(const store::JobQuery& query, Gangs* gangs) {
  SINK_ASSIGN_OR_RETURN(std::vector<Job> jobs, ListJobs(query, gangs));
  std::vector<JobWithConfig> list;
  // What a job was submitted with never changes, so that a second read tells of the same. Listed rows leave out what
  // is not asked for every second.
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    for (Job& job : jobs) {
      SINK_ASSIGN_OR_RETURN(std::string config_json, rows.GetConfig(job.id));
      SINK_ASSIGN_OR_RETURN(Job whole, rows.GetJob(job.id));
      job.data_set = std::move(whole.data_set);
      job.data_content = std::move(whole.data_content);
      list.push_back({std::move(job), std::move(config_json)});
    }
    return absl::OkStatus();
  }));
  return list;
}

absl::StatusOr<std::vector<std::string>> JobQueries::SweepJobIds(const std::string& sweep) {
  std::vector<std::string> ids;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_RETURN_IF_ERROR(rows.GetSweep(sweep).status());
    SINK_ASSIGN_OR_RETURN(ids, rows.SweepJobIds(sweep));
    return absl::OkStatus();
  }));
  return ids;
}

absl::StatusOr<JobDetails> JobQueries::GetJob(std::string_view name) {
  JobDetails details;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::string id, ResolveJob(rows, name));
    SINK_ASSIGN_OR_RETURN(details.job, rows.GetJob(id));
    SINK_ASSIGN_OR_RETURN(details.config_json, rows.GetConfig(id));
    SINK_ASSIGN_OR_RETURN(details.attempts, rows.ListAttempts(id));
    SINK_ASSIGN_OR_RETURN(details.checkpoints, rows.ListCheckpoints(id));
    SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.MembersOf(id));
    if (!members.empty()) details.gang.push_back(details.job.worker);
    for (const GangMember& member : members) details.gang.push_back(member.worker);
    return absl::OkStatus();
  }));
  return details;
}

absl::StatusOr<LogPage> JobQueries::ReadLogs(std::string_view name, int64_t after, int tail, int limit) {
  LogPage page;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::string id, ResolveJob(rows, name));
    SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(id));
    page.job_final = IsFinal(job.state);
    if (tail > 0) {
      SINK_ASSIGN_OR_RETURN(after, rows.CursorBeforeTail(id, tail));
    }
    SINK_ASSIGN_OR_RETURN(std::vector<LogLine> lines, rows.ListLogs(id, after, limit));
    for (LogLine& line : lines) {
      if (line.missing > 0) page.lines.push_back(MissingBefore(line));
      page.lines.push_back(std::move(line));
    }
    return absl::OkStatus();
  }));
  return page;
}

absl::StatusOr<std::vector<MetricPoint>> JobQueries::ReadMetrics(std::string_view name,
                                                                 const store::MetricQuery& query) {
  std::vector<MetricPoint> points;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::string id, ResolveJob(rows, name));
    SINK_ASSIGN_OR_RETURN(points, rows.ListMetrics(id, query));
    return absl::OkStatus();
  }));
  return points;
}

absl::StatusOr<store::MetricSample> JobQueries::SampleMetrics(std::string_view name,
                                                              const std::vector<std::string>& names) {
  store::MetricSample sample;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::string id, ResolveJob(rows, name));
    SINK_ASSIGN_OR_RETURN(sample, rows.SampleMetrics(id, names));
    return absl::OkStatus();
  }));
  return sample;
}

absl::StatusOr<std::vector<Heatmap>> JobQueries::ReadHeatmaps(std::string_view name) {
  std::vector<Heatmap> heatmaps;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::string id, ResolveJob(rows, name));
    SINK_ASSIGN_OR_RETURN(heatmaps, rows.ListHeatmaps(id));
    return absl::OkStatus();
  }));
  return heatmaps;
}

absl::StatusOr<std::vector<Checkpoint>> JobQueries::ListCheckpoints(std::string_view name) {
  std::vector<Checkpoint> checkpoints;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::string id, ResolveJob(rows, name));
    SINK_ASSIGN_OR_RETURN(checkpoints, rows.ListCheckpoints(id));
    return absl::OkStatus();
  }));
  return checkpoints;
}

absl::StatusOr<absl::flat_hash_map<std::string, std::vector<Checkpoint>>> JobQueries::CheckpointsOf(
    const std::vector<std::string>& ids) {
  absl::flat_hash_map<std::string, std::vector<Checkpoint>> checkpoints;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    for (const std::string& id : ids) {
      absl::StatusOr<std::vector<Checkpoint>> here = rows.ListCheckpoints(id);
      if (here.ok())
        checkpoints[id] = *std::move(here);
      else if (!absl::IsNotFound(here.status()))
        return here.status();
    }
    return absl::OkStatus();
  }));
  return checkpoints;
}

absl::StatusOr<std::vector<Worker>> JobQueries::ListWorkers(Now now, bool retired) {
  std::vector<Worker> workers;
  absl::flat_hash_map<std::string, std::vector<std::string>> jobs_of;  // by worker
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(workers, retired ? rows.ListAllWorkers() : rows.ListWorkers());
    SINK_ASSIGN_OR_RETURN(const std::vector<Job> live, rows.LiveJobs());
    SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.LiveMembers());
    for (const Job& job : live) jobs_of[job.holder.worker_id].push_back(job.id);
    for (const GangMember& member : members) {
      if (!member.ended) jobs_of[member.holder.worker_id].push_back(member.job_id);
    }
    return absl::OkStatus();
  }));
  for (Worker& worker : workers) {
    worker.state = context_->StateOf(worker, now);
    const LeaseClock::WorkerTimes times = context_->clock().WorkerSeen(worker.id, now.steady_ms);
    if (times.heard_unix_ms != 0) worker.last_seen_ms = times.heard_unix_ms;
    worker.devices_free = times.devices_free;
    worker.gpus = times.gpus;
    Holdings holdings = context_->inventory().Of(worker.id);
    worker.models = std::move(holdings.models);
    if (holdings.sets) worker.sets = *std::move(holdings.sets);
    worker.incomplete_sets = std::move(holdings.incomplete_sets);
    worker.incomplete_models = std::move(holdings.incomplete_models);
    if (const auto jobs = jobs_of.find(worker.id); jobs != jobs_of.end()) worker.job_ids = jobs->second;
  }
  return workers;
}

absl::StatusOr<FleetSize> JobQueries::CountFleet(Now now) {
  std::vector<Worker> workers;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(workers, rows.ListWorkers());
    return absl::OkStatus();
  }));
  FleetSize fleet;
  for (const Worker& worker : workers) {
    if (context_->StateOf(worker, now) != WorkerState::kConnected) continue;
    ++fleet.workers;
    fleet.devices += worker.devices;
    fleet.devices_free += context_->clock().WorkerSeen(worker.id, now.steady_ms).devices_free;
  }
  return fleet;
}

absl::StatusOr<Stats> JobQueries::GetStats(Now now) {
  Stats stats;
  std::vector<Worker> workers;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(stats.jobs, rows.CountJobs());
    SINK_ASSIGN_OR_RETURN(stats.live, rows.LiveJobs());
    SINK_ASSIGN_OR_RETURN(workers, rows.ListWorkers());
    return absl::OkStatus();
  }));
  for (const Worker& worker : workers) {
    switch (context_->StateOf(worker, now)) {
      case WorkerState::kConnected:
        ++stats.workers_connected;
        break;
      case WorkerState::kDisconnected:
        ++stats.workers_disconnected;
        break;
      case WorkerState::kGone:
        ++stats.workers_gone;
        break;
      case WorkerState::kStopped:
        ++stats.workers_stopped;
        break;
    }
  }
  return stats;
}

}  // namespace sink
