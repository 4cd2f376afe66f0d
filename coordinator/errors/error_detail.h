// Errors by which a caller decides. The reason is a v1::ErrorDetail that the status carries along, so that nobody has
// to read an error's text, which is for people; grpc_status.h takes it over the wire. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace sink {

// FAILED_PRECONDITION: the lease of a worker's call is no longer current.
absl::Status StaleLeaseError(absl::string_view message);
bool IsStaleLease(const absl::Status& status);

// OUT_OF_RANGE: events from the sequence number `expected` on must come first.
absl::Status MissingEventsError(uint64_t expected, absl::string_view message);
// FAILED_PRECONDITION: what was asked must wait for the events from the sequence number `expected` on.
absl::Status EventsFirstError(uint64_t expected, absl::string_view message);
// The sequence number of either; nothing when `status` is another error, or came without one.
std::optional<uint64_t> ExpectedEvent(const absl::Status& status);

}  // namespace sink
