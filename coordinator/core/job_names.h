// How people name a job: by its id, or by a prefix of it that only one job has. Within a transaction; any thread.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "coordinator/store/job_store.h"

namespace sink {

// The whole id. `name` has at least four hex digits: NOT_FOUND, or INVALID_ARGUMENT when several jobs match.
absl::StatusOr<std::string> ResolveJob(store::Snapshot& rows, std::string_view name);

}  // namespace sink
