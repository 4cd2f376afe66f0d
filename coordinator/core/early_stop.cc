#include "coordinator/core/early_stop.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/job/left_to_others.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

bool Better(double a, double b, bool maximize) {
  if (std::isnan(a) || std::isnan(b)) return !std::isnan(a);
  return maximize ? a > b : a < b;
}

// The step of the rung after that at `step`; one that no job reaches where it would be beyond what a number holds.
int64_t NextRung(int64_t step, int eta) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  return step > kMost / eta ? kMost : step * eta;
}

// How many of the jobs at a rung go on.
int GoingOn(int peers, int eta) { return (peers + eta - 1) / eta; }

// The job's standing at a rung, were it to get there now.
absl::StatusOr<RungResult> Stand(store::Transaction& rows, const Sweep& sweep, const Job& job, int64_t step,
                                 double value) {
  SINK_ASSIGN_OR_RETURN(const std::vector<RungResult> others, rows.ListRung(sweep.name, step));
  RungResult result{sweep.name, step, job.id, value, 1, 1, false};
  for (const RungResult& other : others) {
    ++result.peers;
    if (Better(other.value, value, sweep.policy.stop_maximize)) ++result.place;
  }
  result.stopped = result.place > GoingOn(result.peers, sweep.policy.stop_eta);
  return result;
}

std::string Describe(const RungResult& result, const SweepPolicy& policy) {
  return absl::StrFormat("stopped early at step %d: %s was %.4g, place %d of %d, and the best %d go on", result.step,
                         policy.stop_metric, result.value, result.place, result.peers,
                         GoingOn(result.peers, policy.stop_eta));
}

}  // namespace

absl::StatusOr<bool> JudgeRungs(store::Transaction& rows, const std::vector<MetricPoint>& points, Job* job) {
  if (points.empty() || job->sweeps.empty() || job->generation > 1 || job->cancel_requested) return false;
  SINK_ASSIGN_OR_RETURN(const Sweep sweep, rows.GetSweep(job->home_sweep));
  const SweepPolicy& policy = sweep.policy;
  if (policy.stop_metric.empty()) return false;
  if (IsWantedBeside(sweep.name, *job)) return false;
  SINK_ASSIGN_OR_RETURN(const std::vector<RungResult> before, rows.ListRungsOf(job->id));
  int64_t next = policy.stop_first_rung;
  for (const RungResult& result : before) {
    if (result.sweep == sweep.name && result.stopped) return false;  // and goes on, since somebody wants it to
    if (result.sweep == sweep.name) next = std::max(next, NextRung(result.step, policy.stop_eta));
  }
  for (const MetricPoint& point : points) {
    if (point.name != policy.stop_metric) continue;
    for (; next <= point.step && next < job->progress.max_steps; next = NextRung(next, policy.stop_eta)) {
      // One that it passed while another sweep wanted it, too: a later value would be held against earlier ones.
      SINK_ASSIGN_OR_RETURN(const std::optional<double> earlier,
                            rows.LastValue(job->id, policy.stop_metric, next - 1, point.step - 1));
      if (earlier) continue;
      SINK_ASSIGN_OR_RETURN(const RungResult result, Stand(rows, sweep, *job, next, point.value));
      SINK_RETURN_IF_ERROR(rows.InsertRung(result));
      if (!result.stopped) continue;
      job->cancel_requested = true;
      job->stop_message = Describe(result, policy);
      return true;
    }
  }
  return false;
}

}  // namespace sink
