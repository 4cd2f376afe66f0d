// Tells the coordinator, in a thread of its own, that this worker and its trainers are alive. Nothing else may delay
// it: it takes no lock for longer than a copy and makes no other call. A worker that holds nothing and waits for work
// says so by asking, and rests from heartbeats for as long as the coordinator lets it: a thousand that wait would
// otherwise cost it most of what they cost at all.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "coordinator/job/mutex.h"
#include "worker/coordinator_link.h"

namespace sink::worker {

class Heartbeat {
 public:
  // Called on the heartbeat's thread; must not block.
  struct Hooks {
    std::function<v1::HeartbeatRequest()> make_request;
    // `sent_at`: boot clock before the call; what the answer renews is renewed from then.
    std::function<void(const v1::HeartbeatRequest&, const v1::HeartbeatResponse&, absl::Duration sent_at)> on_answer;
    std::function<void(const absl::Status&)> on_error;
  };

  Heartbeat(CoordinatorLink* link, Hooks hooks, absl::Duration interval);
  // Waits for a call in progress.
  ~Heartbeat();

  void set_interval(absl::Duration interval) { interval_ms_ = absl::ToInt64Milliseconds(interval); }
  // The next one now: what it says has changed.
  void Hurry() ABSL_LOCKS_EXCLUDED(mutex_);
  // The same, and waits until one that began after this call was answered or has failed; false when the patience ends
  // first.
  bool Tell(absl::Duration patience) ABSL_LOCKS_EXCLUDED(mutex_);
  // A question for work that waits for its answer was sent at that time (boot clock); InfinitePast: none waits.
  void SetAsked(absl::Duration at) { asked_ns_ = absl::ToInt64Nanoseconds(at); }

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  // Until the pause is over or somebody hurries; false once it must end.
  bool Pause(absl::Duration pause, bool* hurried) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether nothing is missed when this one is left out. What a GPU does is told by heartbeats alone.
  bool MayRest(const v1::HeartbeatRequest& request, absl::Duration now) const;

  CoordinatorLink* const link_;
  const Hooks hooks_;
  std::atomic<int64_t> interval_ms_;
  std::atomic<int64_t> asked_ns_;
  // Of the thread: when it was last heard, and for how long it may rest from then on.
  absl::Duration told_at_ = -absl::InfiniteDuration();
  absl::Duration rest_ = absl::ZeroDuration();
  Mutex mutex_;
  CondVar changed_;  // signalled when one of these changes, begun_ aside
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool hurry_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t begun_ ABSL_GUARDED_BY(mutex_) = 0;  // so many so far
  uint64_t ended_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace sink::worker
