// See error_detail.h.
#include "coordinator/errors/error_detail.h"

#include <string>

#include "coordinator/errors/detail_payload.h"

namespace sink {

absl::Status StaleLeaseError(absl::string_view message) {
  v1::ErrorDetail detail;
  detail.mutable_stale_lease();
  return WithDetail(absl::FailedPreconditionError(message), detail);
}

bool IsStaleLease(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) && DetailOf(status).has_stale_lease();
}

absl::Status MissingEventsError(uint64_t expected, absl::string_view message) {
  v1::ErrorDetail detail;
  detail.mutable_missing_events()->set_expected(expected);
  return WithDetail(absl::OutOfRangeError(message), detail);
}

std::optional<uint64_t> ExpectedEvent(const absl::Status& status) {
  const v1::ErrorDetail detail = DetailOf(status);
  if (!absl::IsOutOfRange(status) || detail.missing_events().expected() == 0) return std::nullopt;
  return detail.missing_events().expected();
}

}  // namespace sink
