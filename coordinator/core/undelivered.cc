// See undelivered.h.
#include "coordinator/core/undelivered.h"

namespace sink {

Undelivered::Undelivered(const std::vector<Job>& live) {
  for (const Job& job : live) {
    if (job.phase == JobState::kFinalizing) ++jobs_[job.holder.worker_id];
  }
}

int Undelivered::Of(const Worker& worker) const {
  const auto jobs = jobs_.find(worker.id);
  return jobs == jobs_.end() ? 0 : jobs->second;
}

}  // namespace sink
