// The lock by which one process has a coordinator's data folder, or that of a backup, which has the same files. Any
// thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace sink::store {

// Returns a descriptor whose lock goes with the process, or when it is closed. FAILED_PRECONDITION: another process has
// the folder, which the message names.
absl::StatusOr<int> LockFolder(const std::string& folder);

}  // namespace sink::store
