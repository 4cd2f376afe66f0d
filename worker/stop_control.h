// Why an attempt is to stop, set by the daemon's threads and obeyed by the threads that run its
// trainers. Thread-safe.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/job/timed_wait.h"

namespace sink::worker {

// A later reason overrides an earlier one.
enum class StopReason {
  kNone,
  kHang,        // no event for too long
  kStall,       // events, but no training step for longer than the job allows
  kIdle,        // events, but no step, token, value or checkpoint for longer than this worker allows
  kPipeClosed,  // the trainer closed its event pipe and stayed
  kRankLost,    // another rank of the same job ended without success
  kLeaseLost,   // no contact with the coordinator for almost a lease
  kRefused,     // this attempt's events cannot be delivered: the coordinator refuses them, or the spool has lost some
  kHandBack,    // the coordinator wants the job back: a person drains this worker
  kDrain,       // the daemon is to end
  kCancel,      // a person cancelled the job
  kKill,        // the daemon is to end now
  kStale,       // the attempt is somebody else's: kill, deliver nothing
};

class StopControl {
 public:
  void Request(StopReason reason) {
    absl::MutexLock lock(&mutex_);
    if (reason <= reason_) return;
    reason_ = reason;
    if (!requested_.HasBeenNotified()) requested_.Notify();
    // Nothing more can be delivered for a stale attempt, and nobody waits for a killed one.
    if (reason >= StopReason::kKill && !abandoned_.HasBeenNotified()) abandoned_.Notify();
  }

  // Stops delivery, not the trainer: what is left stays on disk for the daemon's next start.
  void AbandonDelivery() {
    absl::MutexLock lock(&mutex_);
    if (!abandoned_.HasBeenNotified()) abandoned_.Notify();
  }

  StopReason reason() const {
    absl::MutexLock lock(&mutex_);
    return reason_;
  }

  // For interruptible waits: notified once there is any reason; once delivery is to end.
  const Notification& requested() const { return requested_; }
  const Notification& abandoned() const { return abandoned_; }

 private:
  mutable absl::Mutex mutex_;
  StopReason reason_ ABSL_GUARDED_BY(mutex_) = StopReason::kNone;
  Notification requested_, abandoned_;
};

}  // namespace sink::worker
