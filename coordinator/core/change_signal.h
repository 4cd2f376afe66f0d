// A counter that grows with every stored change, for streams (WatchSweep, ReadLogs) that wait without reading the
// database in a loop. Any thread.
#pragma once

#include <chrono>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "coordinator/job/mutex.h"

namespace sink {

class ChangeSignal {
 public:
  uint64_t version() const {
    MutexLock lock(&mutex_);
    return version_;
  }

  void Bump() {
    MutexLock lock(&mutex_);
    ++version_;
    changed_.SignalAll();
  }

  // Returns once version() differs from `seen` or the time is over. Read version() before reading the store, so that
  // no change falls between.
  uint64_t WaitPast(uint64_t seen, std::chrono::milliseconds timeout) const {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    MutexLock lock(&mutex_);
    while (version_ == seen && changed_.WaitUntil(&mutex_, deadline)) {
    }
    return version_;
  }

 private:
  mutable Mutex mutex_;
  mutable CondVar changed_;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace sink
