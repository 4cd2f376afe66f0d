// What is done to a store that was put back from a copy, before a coordinator opens it. Any thread.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "coordinator/store/job_store.h"

namespace sink::store {

// The epoch of the coordinator that gave a fence (job/job.h).
constexpr uint64_t EpochOfFence(uint64_t fence) { return fence >> 32; }
// No time gives a larger one: fences are stored in 63 bits, and starts need room.
inline constexpr uint64_t kMostRestoredEpoch = (uint64_t{1} << 31) - (1 << 20);

// Between the copy and now other coordinators may have run, with epochs that the copy does not know and fences that
// workers still hold. Their number is bounded by time: a start takes longer than a second, so the seconds since 2020
// are above every epoch that was counted up, and above that of an earlier restore. `stored`: of the copy; `replaced`:
// of the store that it takes the place of, 0 where that cannot be read. The coordinator's start adds one to what this
// returns.
uint64_t RestoredEpoch(uint64_t stored, uint64_t replaced, int64_t unix_seconds);

// Sets that epoch, and retires every worker, so that each registers anew with what it holds: a daemon that began after
// the copy has a session that the copy does not know, and would be refused for good as a second one of its name.
absl::Status PrepareRestored(Transaction& rows, uint64_t replaced, int64_t unix_seconds);

}  // namespace sink::store
