#include "coordinator/core/holds.h"

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "proto/base/counted.h"

namespace sink {
namespace {

int Count(const Sweep& sweep, JobState wanted) {
  for (const auto& [state, jobs] : sweep.jobs_by_state) {
    if (state == wanted) return jobs;
  }
  return 0;
}

// A checkpoint proves data, model, evaluation and upload: the first of one job lets the others start, whatever has
// become of that job since.
absl::StatusOr<std::string> WhyCanaryHolds(store::Snapshot& rows, const Sweep& sweep) {
  if (Count(sweep, JobState::kSucceeded) > 0) return "";
  SINK_ASSIGN_OR_RETURN(const bool saved, rows.HasSaved(sweep.name));
  if (saved) return "";
  SINK_ASSIGN_OR_RETURN(const std::vector<Job> live, rows.LiveJobs());
  std::string canary;
  for (const Job& job : live) {
    if (job.home_sweep != sweep.name) continue;
    // One that the sweep has no more and was left to run proves as much.
    SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(job.id));
    if (!checkpoints.empty()) return "";
    canary = job.id;
  }
  if (Count(sweep, JobState::kFailed) > 0) {
    return absl::StrCat("a job of ", sweep.name,
                        " failed before any had saved a checkpoint (on_failure.canary); put it right, then retry the "
                        "failed job, or submit the sweep without it");
  }
  if (canary.empty()) return "";
  return absl::StrCat("the first job of ", sweep.name, ", ", canary.substr(0, 8),
                      ", has not saved its first checkpoint yet (on_failure.canary)");
}

}  // namespace

absl::StatusOr<std::string> WhyFailuresHold(store::Snapshot& rows, const Sweep& sweep) {
  const int failed = Count(sweep, JobState::kFailed);
  if (sweep.policy.max_failed >= 0 && failed > sweep.policy.max_failed) {
    return absl::StrCat(Counted(failed, "job"), " of ", sweep.name, failed == 1 ? " has" : " have", " failed and ",
                        sweep.policy.max_failed,
                        " may (on_failure.max_failed); retry them, or submit the sweep without them or with a larger "
                        "limit, to go on");
  }
  return sweep.policy.canary && failed > 0 ? WhyCanaryHolds(rows, sweep) : std::string();
}

absl::StatusOr<std::string> WhyHeld(store::Snapshot& rows, const Sweep& sweep) {
  if (sweep.max_parallel > 0) {
    SINK_ASSIGN_OR_RETURN(const int live, rows.CountLive(sweep.name));
    if (live >= sweep.max_parallel) {
      return absl::StrCat(live, " jobs of ", sweep.name, " are running, which is its limit (limits.max_parallel)");
    }
  }
  if (Count(sweep, JobState::kFailed) > 0) return WhyFailuresHold(rows, sweep);
  return sweep.policy.canary ? WhyCanaryHolds(rows, sweep) : std::string();
}

}  // namespace sink
