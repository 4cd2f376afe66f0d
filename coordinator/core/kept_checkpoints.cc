// See kept_checkpoints.h.
#include "coordinator/core/kept_checkpoints.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "coordinator/job/status_macros.h"
#include "proto/config/job_config.h"
#include "proto/pipe/metric_name.h"

namespace sink {
namespace {

// Whether the job's configuration says checkpoint.keep_best. One that cannot be read any more says nothing.
absl::StatusOr<bool> KeepsBest(store::Snapshot& rows, const std::string& job_id) {
  SINK_ASSIGN_OR_RETURN(const std::string config_json, rows.GetConfig(job_id));
  const JobConfigResult parsed = ParseJobConfig(config_json);
  return parsed.config && parsed.config->checkpoint.keep_best;
}

}  // namespace

absl::StatusOr<double> LossOfCheckpoint(store::Snapshot& rows, const std::string& job_id, int64_t step,
                                        const std::vector<Checkpoint>& others) {
  const auto before = std::find_if(others.begin(), others.end(), [step](const Checkpoint& c) { return c.step < step; });
  const int64_t after = before == others.end() ? -1 : before->step;  // a model is measured at step 0, too
  const std::string name =
      pipe::FormatMetricName({.kind = pipe::MetricKind::kValidationLoss, .domain = pipe::kAllDomains});
  SINK_ASSIGN_OR_RETURN(const std::optional<double> measured, rows.LastValue(job_id, name, after, step));
  if (measured) return *measured;
  return before == others.end() ? std::numeric_limits<double>::quiet_NaN() : before->validation_loss;
}

const Checkpoint* BestOf(const std::vector<Checkpoint>& checkpoints) {
  const Checkpoint* best = nullptr;
  for (const Checkpoint& checkpoint : checkpoints) {
    if (std::isnan(checkpoint.validation_loss)) continue;
    if (best == nullptr || checkpoint.validation_loss <= best->validation_loss) best = &checkpoint;
  }
  return best;
}

absl::StatusOr<std::vector<Checkpoint>> Surplus(store::Snapshot& rows, const Job& job, int newest) {
  SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(job.id));
  std::vector<Checkpoint> surplus;
  if (checkpoints.size() <= static_cast<size_t>(newest)) return surplus;
  SINK_ASSIGN_OR_RETURN(const bool keep_best, KeepsBest(rows, job.id));
  const Checkpoint* const best = keep_best ? BestOf(checkpoints) : nullptr;
  for (size_t i = newest; i < checkpoints.size(); ++i) {
    const Checkpoint& checkpoint = checkpoints[i];
    const bool of_period = job.checkpoint_period > 0 && checkpoint.step % job.checkpoint_period == 0;
    if (!of_period && !checkpoint.pinned && &checkpoint != best) surplus.push_back(checkpoint);
  }
  return surplus;
}

}  // namespace sink
