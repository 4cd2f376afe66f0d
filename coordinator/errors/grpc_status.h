// Between absl::Status and grpc::Status, with the ErrorDetail that a status carries. absl::StatusCode was made with
// gRPC's numbers, so that a cast is the whole table. Pure; any thread.
#pragma once

#include <grpcpp/support/status.h>

#include <cstddef>

#include "absl/status/status.h"

namespace sink {

static_assert(static_cast<int>(absl::StatusCode::kUnauthenticated) == grpc::StatusCode::UNAUTHENTICATED &&
              static_cast<int>(absl::StatusCode::kFailedPrecondition) == grpc::StatusCode::FAILED_PRECONDITION);

// A message travels in HTTP/2 headers, where 8 KiB is the limit and a byte that is not ASCII takes three.
inline constexpr size_t kMaxStatusMessage = 2000;

// The message is cut to kMaxStatusMessage.
grpc::Status ToGrpc(const absl::Status& status);

// Of UNAVAILABLE and RESOURCE_EXHAUSTED: a service has answered so through ToGrpc. Else no service has seen the call:
// gRPC found nobody, or the coordinator had no thread or memory for it, or its caller makes too many (gatekeeper.h,
// whose refusals gRPC sends without details).
bool IsAnswered(const grpc::Status& status);

// Details that cannot be read are left out.
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace sink
