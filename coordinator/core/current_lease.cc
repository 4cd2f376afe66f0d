// See current_lease.h.
#include "coordinator/core/current_lease.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/errors/error_detail.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

bool Holds(const Job& job, const std::string& worker_id, const Lease& lease) {
  return IsLive(job.state) && job.lease() == lease && job.holder.worker_id == worker_id;
}

}  // namespace

absl::Status StaleLease(const Lease& lease) {
  return StaleLeaseError(
      absl::StrCat("stale lease: attempt ", lease.attempt, " of job ", lease.job_id, " is no longer this worker's"));
}

absl::StatusOr<Job> CurrentJob(store::Snapshot& rows, const std::string& worker_id, const Lease& lease) {
  absl::StatusOr<Job> job = rows.GetJob(lease.job_id);
  if (absl::IsNotFound(job.status()) || (job.ok() && !Holds(*job, worker_id, lease))) return StaleLease(lease);
  return job;
}

bool IsEarlierSession(const std::string& a, const std::string& b) {
  constexpr char kOrdered[] = "00000";  // a time in milliseconds; a random one begins so once in a million times
  constexpr size_t kDigits = 16;
  if (!absl::StartsWith(a, kOrdered) || !absl::StartsWith(b, kOrdered)) return false;
  return a.compare(0, kDigits, b, 0, kDigits) < 0;
}

absl::Status StaleSession(const Worker& worker) {
  return absl::FailedPreconditionError(
      absl::StrCat("stale session: another daemon has registered as worker ", worker.name,
                   " since; stop one of them. Where its folder is a copy of another worker's, as in an image of a "
                   "machine, the copy needs an identity of its own: stop it, remove worker.id, tls and jobs from its "
                   "--data folder, and let it join again"));
}

absl::StatusOr<Worker> CurrentWorker(store::Snapshot& rows, const std::string& id, const std::string& session) {
  SINK_ASSIGN_OR_RETURN(Worker worker, rows.GetWorker(id));
  if (worker.session == session) return worker;
  return StaleSession(worker);
}

absl::StatusOr<std::optional<HeldMember>> CurrentMember(store::Snapshot& rows, const std::string& worker_id,
                                                        const Lease& lease) {
  SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.MembersOf(lease.job_id));
  for (const GangMember& member : members) {
    if (member.holder.worker_id != worker_id) continue;
    SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(member.job_id));
    if (member.lease(job.attempt) == lease) return HeldMember{std::move(job), member};
  }
  return std::nullopt;
}

}  // namespace sink
