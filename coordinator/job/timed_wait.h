// Waits with a timeout, of the steady clock: a wall clock that is set back in the middle of one lengthens no wait.
// Those of the packaged absl::Mutex, absl::CondVar and absl::Notification last until a moment of the wall clock
// (findings/absl_waits_follow_the_wall_clock.sh), so control code does not use them (tests/lint). Any thread.
#pragma once

#include <algorithm>
#include <chrono>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "coordinator/job/mutex.h"

namespace sink {

// Waits until the condition holds, and returns true, or until the timeout has passed: whether it holds then. Whoever
// makes it hold signals `changed`, with the mutex held. Not analysed inside: the condition may require the mutex.
template <typename Condition>
bool WaitFor(CondVar* changed, Mutex* mutex, absl::Duration timeout, const Condition& condition)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  constexpr absl::Duration kForEver = absl::Hours(24 * 365);  // what the clock can still count
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(std::min(timeout, kForEver));
  while (!condition()) {
    if (!changed->WaitUntil(mutex, deadline)) return condition();
  }
  return true;
}

// Something that happens once.
class Notification {
 public:
  void Notify() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    notified_ = true;
    changed_.SignalAll();
  }
  bool HasBeenNotified() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return notified_;
  }
  // False when the timeout has passed before it happened.
  bool WaitFor(absl::Duration timeout) const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return sink::WaitFor(&changed_, &mutex_, timeout,
                         [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return notified_; });
  }

 private:
  mutable Mutex mutex_;
  mutable CondVar changed_;
  bool notified_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace sink
