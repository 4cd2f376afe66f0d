// How much of the queue one user may fill, so that a loop that submits does not leave a database that nobody can read.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/core/requests.h"
#include "coordinator/job/job.h"

namespace sink {

struct Quota {
  int64_t waiting_jobs = 100'000;  // that have not ended, in all sweeps of one user; in each that has it, a job counts
  int sweeps = 1'000;              // in which some have not
};

// RESOURCE_EXHAUSTED when `user`, whose sweeps are `own`, would have more than the quota with those of `request`. Of a
// sweep that is there and is submitted again, only the jobs count that are more than it has. Two submissions at once
// may both be taken where one is too much: the quota is against loops, not against cunning.
absl::Status CheckQuota(const Quota& quota, const std::string& user, const std::vector<Sweep>& own,
                        const SubmitRequest& request);

// The same for jobs of the user's own that have ended and would be queued again: how many, by sweep.
absl::Status CheckRetryQuota(const Quota& quota, const std::string& user, const std::vector<Sweep>& own,
                             const std::map<std::string, int64_t>& retried);

}  // namespace sink
