// A CoordinatorLink that calls seldom while the coordinator refuses this worker's credential, as one that was revoked:
// the daemon's loops, which try again within seconds, would make ten thousand such calls an hour for ever. From a
// registration that is refused so until one that is taken, every other call is answered here, as that registration was,
// and registrations go on to the coordinator after pauses that double up to about a minute: where the refusal was for a
// while only, the worker comes back by itself. Thread-safe.
#pragma once

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "worker/coordinator_link.h"
#include "worker/timing.h"

namespace sink::worker {

// `clock`: time since boot; tests move it.
std::unique_ptr<CoordinatorLink> MakePatientLink(std::unique_ptr<CoordinatorLink> link,
                                                 std::function<absl::Duration()> clock = BootTime);

}  // namespace sink::worker
