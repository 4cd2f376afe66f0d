// Which jobs of a cancelled sweep go on because another sweep wants them. Pure; any thread.
#pragma once

#include "coordinator/job/job.h"

namespace sink {

// Whether the sweep of this place, which is one of the job's, was cancelled and the job goes on all the same: for that
// sweep it is over, whatever becomes of it. One that is being stopped is not over until it has stopped.
inline bool IsLeftToOthers(const Job& job, const Membership& place) {
  return place.withdrawn && !IsFinal(job.state) && !job.cancel_requested;
}

}  // namespace sink
