// Early stopping by asynchronous successive halving (Li et al., "A System for Massively Parallel Hyperparameter
// Tuning", MLSys 2020), the variant in which a job that falls behind stops: nothing waits for others. Each decision is
// stored with what it was made from (RungResult), so that it can be told and made again later. Within a transaction.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/store/job_store.h"

namespace sink {

// Enters the job at the rungs that `points`, its new measurements, have reached. Where it is not among the best
// ceil(n / eta) of the n jobs there so far, it is told to stop: true, and cancel_requested and stop_message are set for
// the caller to store. The policy is that of the home sweep; a job that another sweep wants too, or that a person has
// retried, always goes on.
absl::StatusOr<bool> JudgeRungs(store::Transaction& rows, const std::vector<MetricPoint>& points, Job* job);

}  // namespace sink
