// Who wants a job, and which jobs of a cancelled sweep go on because another sweep does. Pure; any thread.
#pragma once

#include <algorithm>
#include <string>

#include "coordinator/job/job.h"

namespace sink {

// Whether a sweep other than `sweep` wants the job; "": whether any does.
inline bool IsWantedBeside(const std::string& sweep, const Job& job) {
  return std::any_of(job.sweeps.begin(), job.sweeps.end(),
                     [&](const Membership& place) { return place.sweep != sweep && !place.withdrawn; });
}

// Whether the sweep of this place, which is one of the job's, was cancelled and the job goes on all the same: for that
// sweep it is over, whatever becomes of it. One that is being stopped is not over until it has stopped.
inline bool IsLeftToOthers(const Job& job, const Membership& place) {
  return place.withdrawn && !IsFinal(job.state) && !job.cancel_requested;
}

}  // namespace sink
