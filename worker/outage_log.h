// Says once that the coordinator is away, again every 30 s, and once that it is back; of an outage that comes and goes
// within that time the first alone; and what it refuses, the same words once in 30 s, or of a credential that it does
// not take, which stays so until a person helps, once an hour. Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "worker/timing.h"

namespace sink::worker {

class OutageLog {
 public:
  // `clock`: time since boot; tests move it.
  explicit OutageLog(std::function<absl::Duration()> clock = BootTime) : clock_(std::move(clock)) {}

  // The result of a call. UNAVAILABLE and DEADLINE_EXCEEDED are an outage; CANCELLED is this daemon's own doing, at its
  // end; any other error is an answer, which ends an outage.
  void Note(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Refused(const absl::Status& status, absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::function<absl::Duration()> clock_;
  absl::Mutex mutex_;
  bool away_ ABSL_GUARDED_BY(mutex_) = false;
  bool told_away_ ABSL_GUARDED_BY(mutex_) = false;  // of this outage
  absl::Duration away_since_ ABSL_GUARDED_BY(mutex_);
  absl::Duration logged_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  std::string refusal_ ABSL_GUARDED_BY(mutex_);  // the last that was logged
  absl::Duration refused_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
};

}  // namespace sink::worker
