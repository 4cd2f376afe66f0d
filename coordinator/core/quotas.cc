// See quotas.h.
#include "coordinator/core/quotas.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/job/job_state.h"

namespace sink {
namespace {

int64_t Waiting(const Sweep& sweep) {
  int64_t jobs = 0;
  for (const auto& [state, count] : sweep.jobs_by_state) jobs += IsFinal(state) ? 0 : count;
  return jobs;
}

absl::Status CheckTotals(const Quota& quota, const std::string& user, int64_t jobs, int sweeps) {
  if (jobs > quota.waiting_jobs) {
    return absl::ResourceExhaustedError(
        absl::StrCat(user, " would have ", jobs, " jobs that have not ended, and may have ", quota.waiting_jobs,
                     "; cancel what is not needed (sinkctl cancel), wait, or ask an admin to do it or to raise "
                     "--jobs-per-user"));
  }
  if (sweeps > quota.sweeps) {
    return absl::ResourceExhaustedError(
        absl::StrCat(user, " would have ", sweeps, " sweeps with jobs that have not ended, and may have ", quota.sweeps,
                     "; cancel what is not needed (sinkctl cancel), wait, or ask an admin to raise --sweeps-per-user"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckQuota(const Quota& quota, const std::string& user, const std::vector<Sweep>& own,
                        const SubmitRequest& request) {
  int64_t jobs = static_cast<int64_t>(request.jobs.size());
  int sweeps = 1;
  for (const Sweep& sweep : own) {
    const int64_t waiting = Waiting(sweep);
    if (sweep.name == request.sweep) jobs -= std::min<int64_t>(jobs, sweep.jobs);
    jobs += waiting;
    sweeps += sweep.name != request.sweep && waiting > 0;
  }
  return CheckTotals(quota, user, jobs, sweeps);
}

absl::Status CheckRetryQuota(const Quota& quota, const std::string& user, const std::vector<Sweep>& own,
                             const std::map<std::string, int64_t>& retried) {
  int64_t jobs = 0;
  int sweeps = 0;
  for (const auto& [sweep, count] : retried) {
    jobs += count;
    sweeps += count > 0;
  }
  if (jobs == 0) return absl::OkStatus();
  for (const Sweep& sweep : own) {
    const int64_t waiting = Waiting(sweep);
    jobs += waiting;
    const auto more = retried.find(sweep.name);
    sweeps += waiting > 0 && (more == retried.end() || more->second == 0);
  }
  return CheckTotals(quota, user, jobs, sweeps);
}

}  // namespace sink
