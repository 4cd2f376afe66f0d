// What the passing of time does to jobs: a late heartbeat, a lease that has run out, max_time, the end of a retry
// delay, a home that failures hold. Owned by JobManager; any thread, one at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "coordinator/core/blame.h"
#include "coordinator/core/core_context.h"
#include "coordinator/core/held_homes.h"
#include "coordinator/job/gang_member.h"
#include "coordinator/job/job.h"

namespace sink {

class LeaseExpiry {
 public:
  explicit LeaseExpiry(CoreContext* context) : context_(context) {}

  // Call it every second or so: expires leases, ends retry delays, enforces max_time, moves jobs from homes that
  // failures hold. When it was not called for longer than half a lease, every lease is extended by the gap instead.
  absl::Status Tick(Now now);

 private:
  enum class Due { kNothing, kDisconnected, kExpired, kNeverReceived, kTimedOut, kMemberLost, kMemberNeverReceived };
  struct Ended {
    int expired = 0;  // attempts whose lease ran out
    int lost = 0;     // others that a worker lost
  };
  using Members = absl::flat_hash_map<std::string, std::vector<GangMember>>;       // by job
  Due WhatIsDue(const Job& job, const std::vector<GangMember>& members, Now now);  // `members`: of this job
  // What is due of a member; nothing while it is well.
  Due WhatIsDue(const GangMember& member, Now now);
  // The first of the members that has not ended and of which this is due; null: none.
  const GangMember* MemberWith(Due due, const std::vector<GangMember>& members, Now now);
  // Does it, if it still is due: the worker may have been heard since.
  absl::Status ApplyDue(store::Transaction& rows, KnownWorkers* workers, const std::string& job_id, uint64_t fence,
                        Now now, Ended* ended);

  // Lets workers out of quarantine when their time is over, and jobs back to where they failed.
  absl::Status ReleaseWorkers(Now now);
  // Once in a while: workers that are long gone leave the lists, and this process's memory.
  absl::Status RetireWorkers(Now now);

  CoreContext* const context_;
  HeldHomes held_homes_;
  std::atomic<int64_t> retired_at_ms_ = 0;  // steady: when RetireWorkers last looked
};

}  // namespace sink
