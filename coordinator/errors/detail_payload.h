// How an absl::Status carries a v1::ErrorDetail: as the payload of the message's type URL. For this folder only; others
// use error_detail.h. Pure; any thread.
#pragma once

#include "absl/status/status.h"
#include "sink/v1/error.pb.h"

namespace sink {

absl::Status WithDetail(absl::Status status, const v1::ErrorDetail& detail);

// An empty detail when the status has none, or one that cannot be read.
v1::ErrorDetail DetailOf(const absl::Status& status);

}  // namespace sink
