// See error_detail.h.
#include "coordinator/errors/error_detail.h"

#include <string>

#include "coordinator/errors/detail_payload.h"

namespace sink {
namespace {

absl::Status WithMissingEvents(const absl::Status& status, uint64_t expected) {
  v1::ErrorDetail detail;
  detail.mutable_missing_events()->set_expected(expected);
  return WithDetail(status, detail);
}

}  // namespace

absl::Status StaleLeaseError(absl::string_view message) {
  v1::ErrorDetail detail;
  detail.mutable_stale_lease();
  return WithDetail(absl::FailedPreconditionError(message), detail);
}

bool IsStaleLease(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) && DetailOf(status).has_stale_lease();
}

absl::Status MissingEventsError(uint64_t expected, absl::string_view message) {
  return WithMissingEvents(absl::OutOfRangeError(message), expected);
}

absl::Status EventsFirstError(uint64_t expected, absl::string_view message) {
  return WithMissingEvents(absl::FailedPreconditionError(message), expected);
}

std::optional<uint64_t> ExpectedEvent(const absl::Status& status) {
  if (!absl::IsOutOfRange(status) && !absl::IsFailedPrecondition(status)) return std::nullopt;
  const v1::ErrorDetail detail = DetailOf(status);
  if (detail.missing_events().expected() == 0) return std::nullopt;
  return detail.missing_events().expected();
}

}  // namespace sink
