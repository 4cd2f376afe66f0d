// See delivery.h.
#include "worker/protocol/delivery.h"

#include <algorithm>
#include <optional>

#include "coordinator/errors/error_detail.h"

namespace sink::worker {

Delivery::Effect Delivery::Answered(uint64_t first, const absl::Status& status, uint64_t durable) {
  if (status.ok()) {
    next_ = std::max(durable + 1, next_);
    return {durable, absl::OkStatus()};
  }
  // The coordinator has fewer events than we thought, for example because it was restored from a backup.
  const std::optional<uint64_t> expected = absl::IsOutOfRange(status) ? ExpectedEvent(status) : std::nullopt;
  if (!expected || *expected == first) return {0, status};
  const uint64_t known = *expected > first ? *expected - 1 : 0;
  next_ = *expected;
  return {known, absl::OkStatus()};
}

}  // namespace sink::worker
