// CoordinatorLink over the coordinator's client: one try a call, because the daemon's loops do their own waiting. Owned
// by main; any thread.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "worker/coordinator_link.h"
#include "worker/enrolment.h"

namespace sink::worker {

// Calls with the worker's own certificate, which its first Register gets and heartbeats renew (enrolment.h), and seldom
// while that is refused (patient_link.h); the refusal says what helps.
// InvalidArgument when the address is not host:port. Does not connect.
absl::StatusOr<std::unique_ptr<CoordinatorLink>> MakeClientLink(const EnrolmentOptions& options);

}  // namespace sink::worker
