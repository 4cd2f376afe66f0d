// Says once that the coordinator is away, again every 30 s, and once that it is back; of an outage that comes and goes
// within that time the first alone; and what it refuses, the same words once in 30 s. Thread-safe.
#pragma once

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace sink::worker {

class OutageLog {
 public:
  // The result of a call. UNAVAILABLE and DEADLINE_EXCEEDED are an outage; CANCELLED is this daemon's own doing, at its
  // end; any other error is an answer, which ends an outage.
  void Note(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Refused(const std::string& why, absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  bool away_ ABSL_GUARDED_BY(mutex_) = false;
  bool told_away_ ABSL_GUARDED_BY(mutex_) = false;  // of this outage
  absl::Duration away_since_ ABSL_GUARDED_BY(mutex_);
  absl::Duration logged_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  std::string refusal_ ABSL_GUARDED_BY(mutex_);  // the last that was logged
  absl::Duration refused_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
};

}  // namespace sink::worker
