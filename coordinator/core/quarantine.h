// The end of a worker's quarantine in its row; when it begins and how long it lasts is told in worker_health.h. Within
// a transaction; any thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "coordinator/store/job_store.h"

namespace sink {

// True when the worker was in quarantine, and now is no longer; what a person says of a worker stays as it is.
absl::StatusOr<bool> LiftQuarantine(store::Transaction& rows, const std::string& worker_id);

}  // namespace sink
