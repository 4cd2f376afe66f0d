// What people and their instruments may look at. Each method is one or a few reads of the store, changes nothing, and
// never waits for a writer. Owned by JobManager; any thread. The meaning of every call is told in
// proto/sink/v1/client.proto.
//
// A `job` is an id or a prefix of at least four hex digits: NOT_FOUND, or INVALID_ARGUMENT when several jobs match.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "coordinator/core/core_context.h"
#include "coordinator/core/requests.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"

namespace sink {

class JobQueries {
 public:
  explicit JobQueries(CoreContext* context) : context_(context) {}

  absl::StatusOr<std::vector<Sweep>> ListSweeps();
  absl::StatusOr<Sweep> GetSweep(const std::string& name);
  // With a visit to each of its jobs in expansion order, all of one moment. `gangs`, here and below: where to put, of
  // the same moment, who has those of the jobs that several workers have; null: nowhere. Cost: the live members, once.
  absl::StatusOr<Sweep> VisitSweep(const std::string& name, const store::Snapshot::JobVisitor& visit,
                                   Gangs* gangs = nullptr);
  // Those of the jobs, by id, that the sweep has, with their places in it before those in others.
  absl::StatusOr<Sweep> VisitJobsOf(const std::string& sweep, const std::vector<std::string>& ids,
                                    const store::Snapshot::JobVisitor& visit, Gangs* gangs = nullptr);
  absl::StatusOr<std::string> GetStudy(const std::string& name);  // as submitted; empty in an old database
  absl::Status VisitJobs(const store::JobQuery& query, const store::Snapshot::JobVisitor& visit,
                         Gangs* gangs = nullptr);
  absl::StatusOr<std::vector<Job>> ListJobs(const store::JobQuery& query, Gangs* gangs = nullptr);
  absl::StatusOr<std::vector<JobWithConfig>> ListJobsWithConfigs(const store::JobQuery& query, Gangs* gangs = nullptr);
  absl::StatusOr<std::vector<std::string>> SweepJobIds(const std::string& sweep);  // in expansion order, each once
  absl::StatusOr<JobDetails> GetJob(std::string_view job);
  absl::StatusOr<Explanation> Explain(std::string_view job, Now now);
  // At most `limit` lines, those after the cursor; `tail` > 0: from that many before the end on. Where lines are no
  // longer kept (store/log_lines.h), one more says how many.
  absl::StatusOr<LogPage> ReadLogs(std::string_view job, int64_t after, int tail, int limit);
  // At most `limit` points with id > after, in order of id; empty when there are no more. ABORTED: they were thinned
  // since the point `after` was read; begin anew.
  absl::StatusOr<std::vector<MetricPoint>> ReadMetrics(std::string_view job, const store::MetricQuery& query);
  // For charts: evenly spread points of a long job, at a bounded cost; store/job_store.h.
  absl::StatusOr<store::MetricSample> SampleMetrics(std::string_view job, const std::vector<std::string>& names);
  absl::StatusOr<std::vector<Heatmap>> ReadHeatmaps(std::string_view job);
  absl::StatusOr<std::vector<Checkpoint>> ListCheckpoints(std::string_view job);  // newest first
  // Of several jobs, by their ids, of one moment. One that is gone has none.
  absl::StatusOr<absl::flat_hash_map<std::string, std::vector<Checkpoint>>> CheckpointsOf(
      const std::vector<std::string>& ids);
  // `retired`: also those that have left.
  absl::StatusOr<std::vector<Worker>> ListWorkers(Now now, bool retired = false);
  absl::StatusOr<FleetSize> CountFleet(Now now);  // cost: the workers, not their jobs
  absl::StatusOr<Stats> GetStats(Now now);

  // Grows with every stored change: for streams that wait.
  const ChangeSignal& changes() const { return context_->changes(); }
  const ChangeFeed& feed() const { return context_->feed(); }

 private:
  CoreContext* const context_;
};

}  // namespace sink
