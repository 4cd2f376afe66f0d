// A counter that grows with every stored change, for streams (WatchSweep, ReadLogs) that wait without reading the
// database in a loop. Any thread.
#pragma once

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace sink {

class ChangeSignal {
 public:
  uint64_t version() const {
    absl::MutexLock lock(&mutex_);
    return version_;
  }

  void Bump() {
    absl::MutexLock lock(&mutex_);
    ++version_;
  }

  // Returns once version() differs from `seen` or the time is over. Read version() before reading the store, so that
  // no change falls between.
  uint64_t WaitPast(uint64_t seen, absl::Duration timeout) const {
    absl::MutexLock lock(&mutex_);
    auto changed = [this, seen]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return version_ != seen; };
    mutex_.AwaitWithTimeout(absl::Condition(&changed), timeout);
    return version_;
  }

 private:
  mutable absl::Mutex mutex_;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace sink
