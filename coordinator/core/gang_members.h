// Jobs on several workers. Each worker beside the leader is a member with a lease of its own: it is heard, cancelled
// and expired as a leader is, but it ends nothing by itself. The attempt ends when the leader says so, or when a member
// is lost or has failed and the leader has not said so for the length of a lease. Within a transaction; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/requests.h"
#include "coordinator/job/gang_member.h"
#include "coordinator/store/job_store.h"

namespace sink {

// Marks the grants that wait for this worker as brought by this question. `members`: those of the worker.
absl::Status DeliverMembers(store::Transaction& rows, const LeaseRequest& request, std::vector<GangMember>* members);

// What a member's worker says of the end of its ranks; `message` is clean. True where it is the first of the members to
// fail by itself and its machine may be the reason: those that fail later may do so for it.
absl::StatusOr<bool> FinishMember(store::Transaction& rows, GangMember member, const FinishRequest& request,
                                  const std::string& message);

// Whether one of them has failed by itself, not because another rank had.
bool AnyFailed(const std::vector<GangMember>& members);

// A rank that failed makes the others fail, too: what members have said of their own is added to an infra failure of
// the leader, and a cause of another class takes its place. Where none has failed by itself, what they saw of each
// other is added. The message stays bounded.
void BlameMember(const std::vector<GangMember>& members, FailureClass* failure_class, std::string* message);

}  // namespace sink
