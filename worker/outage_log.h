// Says once that the coordinator is away, or that it refuses something, again after 30 s, and once that it is back; of
// an outage that comes and goes within that time, the first. Thread-safe.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace sink::worker {

class OutageLog {
 public:
  // The result of a call. UNAVAILABLE, DEADLINE_EXCEEDED and CANCELLED are an outage; any other error is an answer, and
  // says nothing of whether the coordinator can be reached.
  void Note(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Mutex mutex_;
  bool away_ ABSL_GUARDED_BY(mutex_) = false;
  bool told_away_ ABSL_GUARDED_BY(mutex_) = false;  // of this outage
  absl::Duration away_since_ ABSL_GUARDED_BY(mutex_);
  absl::Duration logged_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);  // the last that was logged
  absl::Duration refused_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
};

}  // namespace sink::worker
