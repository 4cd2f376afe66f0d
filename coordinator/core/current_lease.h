// Who a worker's call may act for: the checks that every such call begins with, in the transaction of its effect. Any
// thread.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/job/gang_member.h"
#include "coordinator/job/job.h"
#include "coordinator/store/job_store.h"

namespace sink {

// StaleLeaseError, with the sentence for people.
absl::Status StaleLease(const Lease& lease);

// The live job whose leader holds this lease; StaleLease when there is none.
absl::StatusOr<Job> CurrentJob(store::Snapshot& rows, const std::string& worker_id, const Lease& lease);

// Whether a daemon with session `a` began before one with `b`, of the same worker. Sessions are in order by their first
// half (worker/data_folder.h); those of older programs are random, and of them nobody knows.
bool IsEarlierSession(const std::string& a, const std::string& b);

// FAILED_PRECONDITION: another daemon has registered as this worker since.
absl::Status StaleSession(const Worker& worker);

// The worker: NOT_FOUND when it is unknown, FAILED_PRECONDITION when another daemon has registered as it since.
absl::StatusOr<Worker> CurrentWorker(store::Snapshot& rows, const std::string& id, const std::string& session);

// The member that holds this lease of a live job, and the job; nothing where it is no member's.
struct HeldMember {
  Job job;
  GangMember member;
};
absl::StatusOr<std::optional<HeldMember>> CurrentMember(store::Snapshot& rows, const std::string& worker_id,
                                                        const Lease& lease);

}  // namespace sink
