// Says once that the coordinator is away, again every 30 s, and once that it is back. Thread-safe.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace sink::worker {

class OutageLog {
 public:
  // The result of a call; only errors that mean "cannot be reached" count as an outage, others are logged as they come.
  void Note(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Mutex mutex_;
  bool away_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration away_since_ ABSL_GUARDED_BY(mutex_);
  absl::Duration logged_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sink::worker
