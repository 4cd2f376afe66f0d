// See whole_sweep.h.
#include "coordinator/cli/study/whole_sweep.h"

#include <utility>

namespace sink::cli {
namespace {

constexpr int kPage = 1000;
constexpr int kTries = 3;  // of a sweep that is submitted anew, or whose points are thinned, while it is read

// Calls `read(request)` once for the sweep, or for each job: where few of the sweep's are wanted, and where the
// coordinator does not know the field. A coordinator refuses what it does not know before it sends anything.
template <typename Request, typename Read>
absl::Status ReadAll(Session& session, Request request, const std::string& sweep, size_t jobs_in_sweep,
                     const std::set<std::string>& ids, Read read) {
  if (2 * ids.size() > jobs_in_sweep) {
    request.set_sweep(sweep);
    const absl::Status status = read(request);
    if (!absl::IsInvalidArgument(status)) return status;
    request.clear_sweep();
  }
  for (const std::string& id : ids) {
    if (session.world().interrupt.triggered()) return absl::CancelledError("interrupted");
    request.set_job_id(id);
    if (absl::Status status = read(request); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Adds the sweep's jobs to `whole`. ABORTED: the sweep has lost the last job of a page meanwhile.
absl::Status AddJobs(Session& session, const std::string& sweep, v1::GetSweepResponse* whole) {
  v1::ListJobsRequest request;
  request.set_sweep(sweep);
  request.set_limit(kPage);
  for (bool more = true; more;) {
    if (session.world().interrupt.triggered()) return absl::CancelledError("interrupted");
    auto page = session.client().ListJobs(request);
    if (absl::IsNotFound(page.status()) && !request.after().empty())
      return absl::AbortedError("sweep " + sweep + " changes while it is read; try again");
    if (!page.ok()) return page.status();
    more = page->jobs_size() == kPage;
    if (more) request.set_after(page->jobs(kPage - 1).id());
    for (v1::Job& job : *page->mutable_jobs()) *whole->add_jobs() = std::move(job);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::GetSweepResponse> ReadSweep(Session& session, const std::string& sweep) {
  v1::GetSweepRequest request;
  request.set_name(sweep);
  request.set_without_jobs(true);
  absl::Status status;
  for (int tries = 0; tries < kTries; ++tries) {
    auto whole = session.client().GetSweep(request);
    if (!whole.ok() || whole->jobs_size() > 0) return whole;  // one of before sends the jobs all the same
    status = AddJobs(session, sweep, &*whole);
    if (status.ok()) return whole;
    if (!absl::IsAborted(status)) return status;
  }
  return status;
}

absl::Status VisitConfigs(Session& session, const std::string& sweep,
                          absl::FunctionRef<void(const v1::Job& job)> visit) {
  v1::ListJobsRequest request;
  request.set_sweep(sweep);
  request.set_limit(kPage);
  request.set_with_config(true);
  for (bool more = true; more;) {
    if (session.world().interrupt.triggered()) return absl::CancelledError("interrupted");
    const auto page = session.client().ListJobs(request);
    if (!page.ok()) return page.status();
    for (const v1::Job& job : page->jobs()) {
      if (!job.config_json().empty()) {
        visit(job);
        continue;
      }
      v1::GetJobRequest one;
      one.set_id(job.id());
      const auto response = session.client().GetJob(one);
      if (!response.ok()) return response.status();
      visit(response->job());
    }
    more = page->jobs_size() == kPage;
    if (more) request.set_after(page->jobs(kPage - 1).id());
  }
  return absl::OkStatus();
}

absl::Status VisitMetrics(Session& session, const std::string& sweep, size_t jobs_in_sweep,
                          const std::set<std::string>& ids, const std::vector<std::string>& names,
                          absl::FunctionRef<void(const std::string& id, const v1::MetricPoint& point)> visit) {
  v1::ReadMetricsRequest request;
  for (const std::string& name : names) request.add_names(name);
  std::set<std::string> left = ids;
  // A job is visited once all of its points have come: what was thinned meanwhile is read anew.
  std::string job;
  std::vector<v1::MetricPoint> points;
  const auto visit_job = [&] {
    for (const v1::MetricPoint& point : points) visit(job, point);
    left.erase(job);
    points.clear();
  };
  const auto read = [&](const v1::ReadMetricsRequest& wanted) {
    job = wanted.job_id();
    points.clear();
    const absl::Status status = session.client().ReadMetrics(wanted, [&](const v1::MetricPoints& batch) {
      if (wanted.job_id().empty() && batch.job_id() != job) {
        visit_job();
        job = batch.job_id();
      }
      if (left.contains(job)) points.insert(points.end(), batch.points().begin(), batch.points().end());
      return !session.world().interrupt.triggered();
    });
    if (status.ok()) visit_job();
    return status;
  };
  absl::Status status;
  for (int tries = 0; tries < kTries; ++tries) {
    const std::set<std::string> wanted = left;
    status = ReadAll(session, request, sweep, jobs_in_sweep, wanted, read);
    if (!absl::IsAborted(status)) break;
  }
  return status;
}

absl::Status VisitHeatmaps(Session& session, const std::string& sweep, size_t jobs_in_sweep,
                           const std::set<std::string>& ids,
                           absl::FunctionRef<void(const std::string& id, const v1::Heatmap& map)> visit) {
  return ReadAll(session, v1::ReadHeatmapsRequest(), sweep, jobs_in_sweep, ids,
                 [&](const v1::ReadHeatmapsRequest& wanted) {
                   return session.client().ReadHeatmaps(wanted, [&](const v1::Heatmap& map) {
                     const std::string& id = wanted.job_id().empty() ? map.job_id() : wanted.job_id();
                     if (ids.contains(id)) visit(id, map);
                     return !session.world().interrupt.triggered();
                   });
                 });
}

}  // namespace sink::cli
