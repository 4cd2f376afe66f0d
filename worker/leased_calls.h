// The coordinator's calls on behalf of one attempt: fills in who asks and under which lease, goes on trying while the
// coordinator is away, and turns a stale lease into a stop. Thread-safe; shared by the attempt's threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "worker/coordinator_link.h"
#include "worker/stop_control.h"

namespace sink::worker {

// Whether the coordinator does not know this worker (any more).
bool IsUnregistered(const absl::Status& status);

class LeasedCalls {
 public:
  // `on_unregistered` asks the daemon to register again; it must not block. All must outlive this object.
  LeasedCalls(CoordinatorLink* link, std::string worker_id, v1::LeaseRef lease, StopControl* control,
              std::function<void()> on_unregistered);

  // Runs `call` until it succeeds or fails for good, with growing pauses. Ends with Cancelled once `give_up` is
  // notified; a stale lease requests StopReason::kStale and comes back as it is. InvalidArgument, OutOfRange, DataLoss
  // and Unimplemented are for good; everything else is tried again.
  absl::Status Retry(const absl::Notification& give_up, absl::FunctionRef<absl::Status()> call);

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
};

}  // namespace sink::worker
