// The option --keep-points of sink-coordinator. Pure; any thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "coordinator/core/core_context.h"

namespace sink {

// "30d", "12h", "30d,best=10"; empty: all points for good. INVALID_ARGUMENT.
absl::StatusOr<RetentionPolicy> ParseRetention(const std::string& text);

}  // namespace sink
