// See leased_calls.h.
#include "worker/leased_calls.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "coordinator/errors/error_detail.h"
#include "worker/protocol/answer.h"
#include "worker/timing.h"

namespace sink::worker {

LeasedCalls::LeasedCalls(CoordinatorLink* link, std::string worker_id, v1::LeaseRef lease, StopControl* control,
                         std::function<void()> on_unregistered)
    : link_(link),
      worker_id_(std::move(worker_id)),
      lease_(std::move(lease)),
      control_(control),
      on_unregistered_(std::move(on_unregistered)) {}

absl::Status LeasedCalls::Retry(const Notification& give_up, absl::FunctionRef<absl::Status()> call) {
  Backoff backoff;
  while (!give_up.HasBeenNotified()) {
    const absl::Status status = call();
    NoteMissingEvents(status);
    switch (JudgeAnswer(status)) {
      case Answer::kStale:
        control_->Request(StopReason::kStale);
        return status;
      case Answer::kDone:
      case Answer::kRefused:
        return status;
      case Answer::kUnregistered:
        on_unregistered_();
        break;
      case Answer::kAgain:
        break;
    }
    spdlog::debug("job {}: {}; trying again", lease_.job_id(), status.ToString());
    if (give_up.WaitFor(backoff.Next())) break;
  }
  return absl::CancelledError("given up");
}

void LeasedCalls::NoteMissingEvents(const absl::Status& status) {
  if (const auto expected = ExpectedEvent(status)) missing_events_ = *expected;
}

}  // namespace sink::worker
