// When a sweep's queued jobs must wait for others of the sweep: limits.max_parallel, on_failure. Decided from the rows
// alone, so that a person who retries the failed jobs, or submits the sweep without them, lets it go on. Pure but for
// reading; any thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "coordinator/store/job_store.h"

namespace sink {

// Why no job of the sweep may be leased now, one sentence; empty when one may. Cost: the live jobs, and those only
// until a job of it has succeeded or saved a checkpoint.
absl::StatusOr<std::string> WhyHeld(store::Snapshot& rows, const Sweep& sweep);

// The same, but only where jobs of the sweep have failed (on_failure), so that it may wait until a person does
// something, and not only until others have run.
absl::StatusOr<std::string> WhyFailuresHold(store::Snapshot& rows, const Sweep& sweep);

}  // namespace sink
