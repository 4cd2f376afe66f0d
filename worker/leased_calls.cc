// See leased_calls.h.
#include "worker/leased_calls.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "coordinator/errors/error_detail.h"
#include "worker/timing.h"

namespace sink::worker {
namespace {

bool IsForGood(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsOutOfRange(status) || absl::IsDataLoss(status) ||
         absl::IsUnimplemented(status);
}

}  // namespace

bool IsUnregistered(const absl::Status& status) { return absl::IsNotFound(status) || absl::IsUnauthenticated(status); }

LeasedCalls::LeasedCalls(CoordinatorLink* link, std::string worker_id, v1::LeaseRef lease, StopControl* control,
                         std::function<void()> on_unregistered)
    : link_(link),
      worker_id_(std::move(worker_id)),
      lease_(std::move(lease)),
      control_(control),
      on_unregistered_(std::move(on_unregistered)) {}

absl::Status LeasedCalls::Retry(const absl::Notification& give_up, absl::FunctionRef<absl::Status()> call) {
  Backoff backoff;
  while (!give_up.HasBeenNotified()) {
    const absl::Status status = call();
    if (status.ok() || IsForGood(status)) return status;
    if (IsStaleLease(status)) {
      control_->Request(StopReason::kStale);
      return status;
    }
    if (IsUnregistered(status)) on_unregistered_();
    spdlog::debug("job {}: {}; trying again", lease_.job_id(), status.ToString());
    if (give_up.WaitForNotificationWithTimeout(backoff.Next())) break;
  }
  return absl::CancelledError("given up");
}

}  // namespace sink::worker
