// What a request was answered the first time, so that one that comes again after a lost answer gets that, and changes
// nothing. The answer is a row of the transaction that does what was asked for. Pure but for the rows; any thread.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/requests.h"
#include "coordinator/store/job_store.h"

namespace sink {

// The n-th part of a request that takes several transactions, each with an answer of its own.
RequestName PartOf(const RequestName& request, int n);

// Nothing: it is new, or is not remembered. ALREADY_EXISTS: its id came with another body.
absl::StatusOr<std::optional<std::string>> FirstAnswer(store::Snapshot& rows, const RequestName& request);

// A name without an id is not remembered. ALREADY_EXISTS: it was answered before.
absl::Status RememberAnswer(store::Transaction& rows, const RequestName& request, const std::string& answer);

}  // namespace sink
