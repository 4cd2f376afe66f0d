// Whether what the coordinator answers can be meant: a daemon makes paths of names and threads of numbers, and does not
// rely on the other side for that. Pure; any thread.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sink/v1/worker.pb.h"

namespace sink::worker {

inline constexpr int kMaxGrants = 64;  // of one answer; the coordinator gives no more

// INVALID_ARGUMENT names what is wrong: an id that is no plain name, a number that counts nothing, a configuration that
// is too large or nested too deeply to be read.
absl::Status CheckGrant(const v1::Grant& grant);

// The nearest to what was said that a daemon can keep.
absl::Duration SaneHeartbeatInterval(int64_t ms);
int64_t SaneLeaseMs(int64_t ms);
absl::Duration SaneRest(int64_t ms);

}  // namespace sink::worker
