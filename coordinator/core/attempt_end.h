// The rows of an attempt that is over, whoever ended it: its worker, or time. Within a transaction; what the job
// becomes is decided by attempt_rules.h.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "coordinator/core/blame.h"
#include "coordinator/core/core_context.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"

namespace sink {

// A job that will begin at step 0 may do so on any data: forgets which it had, where it has no checkpoint to go on
// from.
absl::Status FreeOfData(store::Snapshot& rows, Job* job);

// That a lease has ended without a word of its worker on the job.
struct Loss {
  std::string worker_id;  // whose lease: the job's leader, or a member of its gang; empty: of none in particular
  std::string why;        // what people are told
  FailureClass failure_class = FailureClass::kInfra;
  bool delay = false;        // with the pause before a retry
  bool with_worker = false;  // the worker itself was lost, for which its machine may be to blame (blame.h)
};

// Takes a live job from its worker, through LOST to what its budget allows.
absl::Status LoseLease(CoreContext* context, store::Transaction& rows, KnownWorkers* workers, Job job, const Loss& loss,
                       Now now);

// Takes a job that has not begun (its phase is LEASED) from its worker and puts it back into the queue.
absl::Status ReturnGrant(CoreContext* context, store::Transaction& rows, Job job, AttemptState ended,
                         const std::string& why, Now now);

// Writes how `attempt` of `job`, which has left it, ended, and lets the gang's members go. The job's row is the
// caller's to write before; only what FreeOfData changes in a job that is queued again is written here.
absl::Status EndAttempt(CoreContext* context, store::Transaction& rows, Job job, AttemptState state,
                        FailureClass failure_class, const std::string& message, int64_t delay_ms,
                        const Attempt& attempt, Now now);

}  // namespace sink
