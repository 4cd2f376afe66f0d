// Taking rows away for good: what a sweep leaves behind that is deleted.
#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/point_table.h"
#include "coordinator/store/sqlite_transaction.h"

namespace sink::store {
namespace {

// Tables whose rows belong to one job. Their references to it are checked when its own row goes.
constexpr const char* kTablesOfJobs[] = {"configs", "attempts", "heatmaps", "logs", "checkpoints", "rungs", "gang"};

}  // namespace

absl::Status SqliteTransaction::LeaveSweep(const std::string& sweep, const std::string& job_id) {
  SINK_ASSIGN_OR_RETURN(const int64_t seq, SeqOf(job_id));
  NoteSweep(sweep);
  NoteProgress(job_id);
  SINK_RETURN_IF_ERROR(Query(db_, "DELETE FROM rungs WHERE sweep = ?1 AND job = ?2", sweep, seq).Run());
  SINK_RETURN_IF_ERROR(Query(db_, "DELETE FROM memberships WHERE sweep = ?1 AND job = ?2", sweep, seq).Run());
  return SettleHome(seq, sweep);
}

absl::Status SqliteTransaction::DeleteJob(const std::string& id) {
  SINK_ASSIGN_OR_RETURN(const Job job, GetJob(id));
  if (!IsFinal(job.state) || !job.sweeps.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("job ", id, " has not ended, or a sweep has it"));
  }
  SINK_ASSIGN_OR_RETURN(const int64_t seq, SeqOf(id));
  NoteProgress(id);
  SINK_RETURN_IF_ERROR(Query(db_,
                             "INSERT INTO deleted_jobs (id, last_fence) "
                             "SELECT ?1, max(fence) FROM attempts WHERE job = ?2 GROUP BY job "
                             "ON CONFLICT (id) DO UPDATE SET last_fence = max(last_fence, excluded.last_fence)",
                             id, seq)
                           .Run());
  SINK_RETURN_IF_ERROR(PointTable(db_, names_).Delete(seq));
  for (const char* table : kTablesOfJobs) {
    SINK_RETURN_IF_ERROR(db_.Execute(absl::StrCat("DELETE FROM ", table, " WHERE job = ", seq).c_str()));
  }
  SINK_RETURN_IF_ERROR(
      Query(db_, "UPDATE counts SET jobs = jobs - 1 WHERE sweep = '' AND state = ?1", job.state).Run());
  return Query(db_, "DELETE FROM jobs WHERE seq = ?1", seq).Run();
}

absl::StatusOr<std::vector<DeletedJob>> SqliteTransaction::ListDeletedJobs() {
  Query query(db_, "SELECT id, last_fence FROM deleted_jobs ORDER BY id");
  std::vector<DeletedJob> jobs;
  while (query.Next()) jobs.push_back({query.Text(0), static_cast<uint64_t>(query.Int(1))});
  if (!query.status().ok()) return query.status();
  return jobs;
}

absl::Status SqliteTransaction::ForgetDeletedJob(const DeletedJob& job) {
  return Query(db_, "DELETE FROM deleted_jobs WHERE id = ?1 AND last_fence <= ?2", job.id, job.last_fence).Run();
}

absl::Status SqliteTransaction::DeleteSweep(const std::string& name) {
  SINK_RETURN_IF_ERROR(GetSweep(name).status());
  SINK_ASSIGN_OR_RETURN(const std::vector<std::string> members, SweepJobIds(name));
  SINK_ASSIGN_OR_RETURN(const std::vector<std::string> homes, HomeJobIds(name));
  if (!members.empty() || !homes.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("sweep ", name, " has jobs"));
  }
  NoteSweep(name);
  SINK_RETURN_IF_ERROR(Query(db_, "DELETE FROM rungs WHERE sweep = ?1", name).Run());
  SINK_RETURN_IF_ERROR(Query(db_, "DELETE FROM counts WHERE sweep = ?1", name).Run());
  SINK_RETURN_IF_ERROR(Query(db_, "DELETE FROM studies WHERE sweep = ?1", name).Run());
  return Query(db_, "DELETE FROM sweeps WHERE name = ?1", name).Run();
}

}  // namespace sink::store
