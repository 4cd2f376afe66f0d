// See retention.h.
#include "coordinator/core/retention.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "coordinator/job/status_macros.h"
#include "proto/pipe/metric_name.h"

namespace sink {
namespace {

constexpr int kJobsAStep = 20;    // a transaction must be short
constexpr int kSweepsAStep = 20;  // whose best jobs are found: each visits all of its jobs
constexpr int64_t kEveryStep = std::numeric_limits<int64_t>::max();
constexpr int64_t kRestMs = 10 * 60'000;  // between looks when nothing has come of age
constexpr int64_t kClockStepMs = 60'000;  // between two ticks no slow correction of a clock comes to that
constexpr int64_t kClockTrialMs = 3'600'000;
constexpr char kMarkTime[] = "thinned_until_ms", kMarkOrder[] = "thinned_until_job";

absl::Status UndoDryRun() { return absl::AbortedError("a dry run"); }

// Whether a sweep that has the job names it among its best.
bool IsBest(const Job& job, const BestJobs& best) {
  return std::any_of(job.sweeps.begin(), job.sweeps.end(), [&](const Membership& place) {
    const auto kept = best.find(place.sweep);
    return kept != best.end() && kept->second.contains(job.id);
  });
}

}  // namespace

bool Retention::ClockIsSettled(Now now) {
  const int64_t offset = now.unix_ms - now.steady_ms;
  if (!clock_offset_ms_ || std::abs(offset - *clock_offset_ms_) > kClockStepMs) {
    settled_at_ms_ = now.steady_ms + kClockTrialMs;
  }
  clock_offset_ms_ = offset;
  return now.steady_ms >= settled_at_ms_;
}

absl::Status Retention::Tick(Now now) {
  const RetentionPolicy& policy = context_->options().keep_points;
  if (policy.full_for_ms <= 0) return absl::OkStatus();
  if (!ClockIsSettled(now) || now.steady_ms < next_tick_ms_) return absl::OkStatus();
  Mark mark;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(mark.finished_ms, rows.GetMark(kMarkTime));
    SINK_ASSIGN_OR_RETURN(mark.order, rows.GetMark(kMarkOrder));
    return absl::OkStatus();
  }));
  RetentionResult result;
  SINK_ASSIGN_OR_RETURN(const bool more, Step(policy, /*dry_run=*/false, now.unix_ms - policy.full_for_ms,
                                              /*keep_mark=*/true, &mark, &tick_best_, &result));
  if (more) return absl::OkStatus();
  next_tick_ms_ = now.steady_ms + kRestMs;
  tick_best_.clear();
  return absl::OkStatus();
}

absl::StatusOr<RetentionResult> Retention::Collect(const RetentionPolicy& policy, bool dry_run, Now now,
                                                   absl::FunctionRef<bool()> gone) {
  RetentionResult result;
  Mark mark;
  BestJobs best;
  for (bool more = true; more;) {
    if (gone()) return absl::CancelledError("nobody waits for the result any more");
    SINK_ASSIGN_OR_RETURN(
        more, Step(policy, dry_run, now.unix_ms - policy.full_for_ms, /*keep_mark=*/false, &mark, &best, &result));
  }
  return result;
}

absl::StatusOr<bool> Retention::Step(const RetentionPolicy& policy, bool dry_run, int64_t before_ms, bool keep_mark,
                                     Mark* mark, BestJobs* best, RetentionResult* result) {
  std::vector<store::EndedJob> ended;
  bool all_found = false;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(ended, rows.ListEnded(mark->finished_ms, mark->order, before_ms, kJobsAStep));
    SINK_ASSIGN_OR_RETURN(all_found, FindBest(rows, ended, policy.best, best));
    return absl::OkStatus();
  }));
  if (ended.empty()) return false;
  if (!all_found) return true;
  *mark = {ended.back().finished_ms, ended.back().order};
  RetentionResult step;
  const absl::Status done = context_->WriteLarge([&](store::Transaction& rows) -> absl::Status {
    for (const store::EndedJob& ended_job : ended) {
      SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(ended_job.id));
      if (!IsFinal(job.state) || IsBest(job, *best)) continue;  // not final: a person has retried it since
      SINK_ASSIGN_OR_RETURN(const store::Thinned thinned, rows.ThinMetrics(job.id, policy.points_a_curve, kEveryStep));
      step.jobs += thinned.points_after < thinned.points_before;
      step.points_before += thinned.points_before;
      step.points_after += thinned.points_after;
    }
    if (dry_run) return UndoDryRun();
    if (!keep_mark) return absl::OkStatus();
    SINK_RETURN_IF_ERROR(rows.PutMark(kMarkTime, mark->finished_ms));
    return rows.PutMark(kMarkOrder, mark->order);
  });
  if (!done.ok() && !(dry_run && absl::IsAborted(done))) return done;
  result->jobs += step.jobs;
  result->points_before += step.points_before;
  result->points_after += step.points_after;
  return true;
}

absl::StatusOr<bool> Retention::FindBest(store::Snapshot& rows, const std::vector<store::EndedJob>& ended, int count,
                                         BestJobs* best) {
  if (count == 0) return true;
  int found = 0;
  for (const store::EndedJob& ended_job : ended) {
    SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(ended_job.id));
    for (const Membership& place : job.sweeps) {
      if (best->contains(place.sweep)) continue;
      if (found++ == kSweepsAStep) return false;
      SINK_ASSIGN_OR_RETURN((*best)[place.sweep], Best(rows, place.sweep, count));
    }
  }
  return true;
}

absl::StatusOr<absl::flat_hash_set<std::string>> Retention::Best(store::Snapshot& rows, const std::string& sweep_name,
                                                                 int count) {
  SINK_ASSIGN_OR_RETURN(const Sweep sweep, rows.GetSweep(sweep_name));
  const std::string metric =
      sweep.policy.stop_metric.empty()
          ? pipe::FormatMetricName({.kind = pipe::MetricKind::kValidationLoss, .domain = pipe::kAllDomains})
          : sweep.policy.stop_metric;
  const bool maximize = !sweep.policy.stop_metric.empty() && sweep.policy.stop_maximize;
  std::vector<std::pair<double, std::string>> jobs;
  store::JobQuery query;
  query.sweep = sweep_name;
  SINK_RETURN_IF_ERROR(rows.VisitJobs(query, [&](const Job& job) {
    const std::optional<double> value = job.progress.latest.Find(metric);
    if (value && !std::isnan(*value)) jobs.emplace_back(maximize ? -*value : *value, job.id);
  }));
  std::sort(jobs.begin(), jobs.end());
  absl::flat_hash_set<std::string> best;
  for (size_t i = 0; i < std::min<size_t>(jobs.size(), count); ++i) best.insert(jobs[i].second);
  return best;
}

}  // namespace sink
