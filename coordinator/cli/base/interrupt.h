// Ctrl-C, as a thing that a command can wait on and a test can pull. Safe to use from several threads.
#pragma once

#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "coordinator/job/mutex.h"

namespace sink::cli {

class Interrupt {
 public:
  // From now on triggered() holds. Calls the registered wake function, if there is one.
  void Trigger() ABSL_LOCKS_EXCLUDED(mutex_);
  bool triggered() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits; false as soon as it is triggered.
  bool Sleep(absl::Duration duration) const ABSL_LOCKS_EXCLUDED(mutex_);

  // While it lives, a trigger calls `wake`, on the triggering thread (at once if that has already happened). Used to
  // cancel a call that blocks. One at a time.
  class Waker {
   public:
    Waker(Interrupt& interrupt, std::function<void()> wake);
    ~Waker();
    Waker(const Waker&) = delete;
    Waker& operator=(const Waker&) = delete;

   private:
    Interrupt& interrupt_;
  };

 private:
  mutable Mutex mutex_;
  mutable CondVar changed_;
  bool triggered_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> wake_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sink::cli
