// CoordinatorLink over the coordinator's client: one try a call, because the daemon's loops do their own waiting. Owned
// by main; any thread.
#pragma once

#include <memory>
#include <string>

#include "worker/coordinator_link.h"

namespace sink::worker {

// InvalidArgument when `address` is not host:port. Does not connect.
absl::StatusOr<std::unique_ptr<CoordinatorLink>> MakeClientLink(const std::string& address);

}  // namespace sink::worker
