// What a sweep file says of its jobs together: `early_stop`, `on_failure`, `stall`. Pure functions; any thread.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sweeps/expand.h"
#include "sweeps/yaml.h"

namespace sink::sweeps {

// Errors of each: INVALID_ARGUMENT with the place.
absl::StatusOr<EarlyStop> ReadEarlyStop(const Node& node);          // {asha: {metric, mode, first_rung, eta}}
absl::StatusOr<FailurePolicy> ReadFailurePolicy(const Node& node);  // {canary: true, max_failed: 20%}
absl::StatusOr<absl::Duration> ReadStall(const Node& node);         // {no_step_for: 10m}
// "90m", between 1 s and 90 days.
absl::StatusOr<absl::Duration> ReadDuration(const Node& node);

absl::Status UnknownKey(const Node& item, const std::vector<std::string>& known);

}  // namespace sink::sweeps
