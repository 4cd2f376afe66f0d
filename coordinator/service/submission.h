// From the files that a client sends to the jobs that core stores: expands the sweep from memory, so that nothing on
// the coordinator's disk can be named. Pure; any thread.
#pragma once

#include "absl/status/statusor.h"
#include "coordinator/core/requests.h"
#include "sink/v1/client.pb.h"

namespace sink {

// INVALID_ARGUMENT "file:line:column: what; fix" when the sweep is wrong. `request` is validated.
absl::StatusOr<SubmitRequest> ExpandSubmission(const v1::SubmitSweepRequest& request);

void ToProto(const SubmitRequest& request, const SubmitResult& result, v1::SubmitSweepResponse* message);

}  // namespace sink
