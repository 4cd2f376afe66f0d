// What the passing of time does to jobs: a late heartbeat, a lease that has run out, max_time, the end of a retry
// delay. Owned by JobManager; any thread, but one at a time is enough.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/core/core_context.h"
#include "coordinator/job/gang_member.h"
#include "coordinator/job/job.h"

namespace sink {

class LeaseExpiry {
 public:
  explicit LeaseExpiry(CoreContext* context) : context_(context) {}

  // Call it every second or so: expires leases, ends retry delays, enforces max_time. When it was not called for longer
  // than half a lease, every lease is extended by the gap instead.
  absl::Status Tick(Now now);

 private:
  enum class Due { kNothing, kDisconnected, kExpired, kNeverReceived, kTimedOut, kMemberLost, kMemberNeverReceived };
  Due WhatIsDue(const Job& job, const std::vector<GangMember>& members, Now now);
  // What is due of a member; nothing while it is well.
  Due WhatIsDue(const GangMember& member, Now now);
  // Does it, if it still is due: the worker may have been heard since.
  absl::Status ApplyDue(store::Transaction& rows, const std::string& job_id, uint64_t fence, Now now, int* expired);

  CoreContext* const context_;
};

}  // namespace sink
