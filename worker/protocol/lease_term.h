// When a worker that the coordinator does not answer must stop a trainer, so that it is gone before its lease is and
// somebody else has the job. Pure; any thread.
#pragma once

#include "absl/time/time.h"

namespace sink::worker {

struct LeaseTerm {
  absl::Duration stop_at;  // boot clock: ask the trainer to stop
  absl::Duration grace;    // how long it may take to stop before it is killed
};

// Of a lease that was acknowledged in an answer to a call sent at `sent_at` (boot clock): the coordinator counts from
// when the call came, which is no earlier.
LeaseTerm TermOf(absl::Duration sent_at, absl::Duration lease_duration);

}  // namespace sink::worker
