// Which jobs have changed, in order, for streams that watch some of them: who asks with what it has seen gets what came
// since. Remembers a bounded number of changes; who is further behind reads everything anew. Any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "coordinator/core/change_signal.h"
#include "coordinator/job/mutex.h"
#include "coordinator/store/job_store.h"

namespace sink {

class ChangeFeed {
 public:
  explicit ChangeFeed(size_t remembered = 65'536) : remembered_(remembered) {}

  void Publish(const store::Changes& changes) ABSL_LOCKS_EXCLUDED(mutex_);

  struct News {
    uint64_t position = 0;            // what has been seen after this
    bool incomplete = false;          // more happened than is remembered
    std::vector<std::string> jobs;    // ids; may repeat
    std::vector<std::string> sweeps;  // that have other jobs now, or another policy; may repeat
  };
  // Take the position before reading the store, so that no change falls between.
  uint64_t position() const ABSL_LOCKS_EXCLUDED(mutex_);
  News Since(uint64_t position) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Grows with every change that is published.
  const ChangeSignal& signal() const { return signal_; }

 private:
  struct Change {
    std::string name;
    bool is_sweep = false;
  };
  void Add(Change change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t remembered_;
  ChangeSignal signal_;
  mutable Mutex mutex_;
  std::deque<Change> changes_ ABSL_GUARDED_BY(mutex_);
  uint64_t position_ ABSL_GUARDED_BY(mutex_) = 0;  // of the newest
};

}  // namespace sink
