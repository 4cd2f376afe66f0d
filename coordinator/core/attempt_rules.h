// What becomes of a job when an attempt begins or ends: retry budgets, delays, the guard against jobs that never get
// anywhere. Changes the values it is given and nothing else; the caller stores them. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "coordinator/core/requests.h"
#include "coordinator/job/job.h"

namespace sink {

// After so many restarts in a row without one training step, the job fails whatever its budget says, unless other
// workers may do better.
inline constexpr int kMaxRestartsWithoutProgress = 3;

struct RetryPolicy {
  int64_t delay_ms = 1'000;  // after the first infra failure; doubles with each
  int64_t max_delay_ms = 60'000;
};

// QUEUED to LEASED. `resume_step` is the step of the checkpoint that the grant names, or 0.
void BeginAttempt(Job* job, const Worker& worker, const Holder& holder, int64_t resume_step, Now now);

// Whose fault a failure before a training step may be.
enum class Suspect {
  kJob,          // as far as is known
  kWorker,       // other workers, on which it has not failed so, could take the job: the guard does not count this one
  kKnownWorker,  // as above, and it had failed on this one before: nothing does
};

// The state after a failed or lost attempt: QUEUED when the class has budget left, FAILED when not, and what a pending
// cancellation demands before that. The job must be FINALIZING or LOST. Returns how long it must wait before it may be
// leased again; with a wait, `delayed` is set.
int64_t EndFailedAttempt(Job* job, FailureClass failure_class, const std::string& message, const RetryPolicy& policy,
                         Now now, Suspect suspect = Suspect::kJob);

// Whether the attempt that the job is in, or has just left, made a training step.
bool HasStepped(const Job& job);

// A final state.
void EndJob(Job* job, JobState state, FailureClass failure_class, const std::string& message, Now now);

// FINALIZING to QUEUED: the worker gave the job back unharmed, as a drain does; LEASED to QUEUED: it has not begun
// (attempt_end.h). Nothing is counted, and the job need not wait.
void ReturnJob(Job* job, const std::string& message, Now now);

// Training goes on from this step, which the job may have passed: what it had done since is done again.
void GoBack(Job* job, int64_t step);

// FAILED or CANCELLED to QUEUED by a person: a new generation with its whole budget.
void BeginGeneration(Job* job, Now now);

// The row of the attempt that `job` is in or has just left.
Attempt RunningAttempt(const Job& job, Now now);

}  // namespace sink
