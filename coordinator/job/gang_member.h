// A job on several workers: what the coordinator knows of each beside the leader. A value; any thread.
#pragma once

#include <string>

#include "coordinator/job/job.h"

namespace sink {

// A worker with ranks of a live job beside its leader, the job's holder. It has a lease of its own, which ends with the
// job's.
struct GangMember {
  std::string job_id;
  int first_rank = 0;  // above 0
  int devices = 0;     // as many ranks from there on
  std::string worker;  // name
  Holder holder;       // poll 0: its worker has not asked for it yet
  bool ended = false;  // what its worker said of the end of its ranks; failure_class NONE: success
  FailureClass failure_class = FailureClass::kNone;
  std::string message = {};

  Lease lease(int attempt) const {
    return {.job_id = job_id, .attempt = attempt, .fence = holder.fence, .id = holder.lease_id};
  }
};

}  // namespace sink
