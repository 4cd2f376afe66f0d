// The coordinator's calls on behalf of one attempt: fills in who asks and under which lease, goes on trying while the
// coordinator is away, turns a stale lease into a stop, and remembers which events it says that it lacks. Thread-safe;
// shared by the attempt's threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/job/timed_wait.h"
#include "worker/coordinator_link.h"
#include "worker/stop_control.h"

namespace sink::worker {

class LeasedCalls {
 public:
  // `on_unregistered` asks the daemon to register again; it must not block. All must outlive this object.
  LeasedCalls(CoordinatorLink* link, std::string worker_id, v1::LeaseRef lease, StopControl* control,
              std::function<void()> on_unregistered);

  // Runs `call` until it succeeds or fails for good, with growing pauses. Ends with Cancelled once `give_up` is
  // notified; a stale lease requests StopReason::kStale and comes back as it is. What is for good is told by
  // protocol/answer.h; everything else is tried again.
  absl::Status Retry(const Notification& give_up, absl::FunctionRef<absl::Status()> call);

  // An answer of a call says that the coordinator lacks events. Where it once had them it was restored from a backup,
  // and no report would ever find out, because everything has been sent. Retry does this with every answer.
  void NoteMissingEvents(const absl::Status& status);
  // From which one on they are to be sent again; 0: none. Asking makes it 0.
  uint64_t TakeMissingEvents() { return missing_events_.exchange(0); }

  // The coordinator has not got an event, and will not: nothing that must wait for it can be delivered. To be said
  // once, with the reason for people.
  void GiveUpEvents(std::string why) {
    why_given_up_ = std::move(why);
    events_given_up_ = true;
  }
  bool events_given_up() const { return events_given_up_; }
  const std::string& why_given_up() const { return why_given_up_; }  // once they are

  // Fills in worker id and lease of any worker request.
  template <typename Request>
  Request Fill(Request request = {}) const {
    request.set_worker_id(worker_id_);
    *request.mutable_lease() = lease_;
    return request;
  }

  CoordinatorLink& link() const { return *link_; }
  StopControl& control() const { return *control_; }
  const std::string& worker_id() const { return worker_id_; }
  const v1::LeaseRef& lease() const { return lease_; }

 private:
  CoordinatorLink* const link_;
  const std::string worker_id_;
  const v1::LeaseRef lease_;
  StopControl* const control_;
  const std::function<void()> on_unregistered_;
  std::atomic<uint64_t> missing_events_ = 0;
  std::string why_given_up_;  // constant once events_given_up_ is set
  std::atomic<bool> events_given_up_ = false;
};

}  // namespace sink::worker
