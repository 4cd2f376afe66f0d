// What both stores say alike.
#include "coordinator/store/job_store.h"

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"

namespace sink::store {

absl::StatusOr<std::vector<Job>> Snapshot::ListJobs(const JobQuery& query) {
  std::vector<Job> jobs;
  SINK_RETURN_IF_ERROR(VisitJobs(query, [&](const Job& job) { jobs.push_back(job); }));
  return jobs;
}

void Transaction::NoteUpdate(const Job& job) {
  NoteProgress(job.id);
  // A job that is given out or that goes on takes devices and frees none. But a worker may have passed over one that
  // had failed there, or that devices elsewhere were kept for, and the next in line is there to be had once it has
  // gone.
  const bool goes_on = IsLive(job.state) && job.phase != JobState::kFinalizing && job.state != JobState::kLost;
  const bool stood_in_the_way = job.state == JobState::kLeased && (job.attempt > 1 || job.devices > 1);
  if (!goes_on || stood_in_the_way) NotePlacement();
}

absl::Status IllegalTransition(const Job& job, JobState from, int from_generation) {
  const std::string from_name(NameOf(from)), to_name(NameOf(job.state));
  return absl::FailedPreconditionError(absl::StrCat("job ", job.id, " cannot go from ", from_name, " (generation ",
                                                    from_generation, ") to ", to_name, " (generation ", job.generation,
                                                    ")"));
}

}  // namespace sink::store
