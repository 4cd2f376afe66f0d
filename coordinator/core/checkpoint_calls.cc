// See checkpoint_calls.h.
#include "coordinator/core/checkpoint_calls.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/core/attempt_end.h"
#include "coordinator/core/clean_text.h"
#include "coordinator/core/job_names.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

std::vector<Checkpoint>::const_iterator FindStep(const std::vector<Checkpoint>& checkpoints, int64_t step) {
  return std::find_if(checkpoints.begin(), checkpoints.end(), [step](const Checkpoint& c) { return c.step == step; });
}

absl::Status NoSuchStep(const Job& job, const std::vector<Checkpoint>& checkpoints, int64_t step) {
  const std::string have = absl::StrJoin(
      checkpoints, ", ", [](std::string* out, const Checkpoint& checkpoint) { absl::StrAppend(out, checkpoint.step); });
  return absl::NotFoundError(absl::StrCat("job ", job.id, " has no checkpoint of step ", step,
                                          have.empty() ? ", nor any other" : absl::StrCat("; it has those of ", have)));
}

// Of what would take a checkpoint away that a person has pinned.
absl::Status StillPinned(const Checkpoint& checkpoint) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the checkpoint of step ", checkpoint.step, " of job ", checkpoint.job_id,
      " is pinned; unpin it first: sinkctl checkpoint unpin ", checkpoint.job_id, " --step ", checkpoint.step));
}

LogLine DamageLine(const Job& job, const Checkpoint& checkpoint, const std::string& what, Now now) {
  LogLine line;
  line.time_ms = now.unix_ms;
  line.attempt = job.attempt;
  line.level = "error";
  line.text =
      CleanText(absl::StrCat("the checkpoint of step ", checkpoint.step, " is damaged at the coordinator", what));
  return line;
}

// A job that waits may now begin at step 0, and then on any data.
absl::Status TellJob(store::Transaction& rows, Job job) {
  if (job.state != JobState::kQueued) return absl::OkStatus();
  SINK_RETURN_IF_ERROR(FreeOfData(rows, &job));
  return rows.UpdateJob(job);
}

}  // namespace

absl::StatusOr<bool> CheckpointCalls::DropDamaged(const Checkpoint& checkpoint, const std::string& damage, Now now) {
  bool dropped = false;
  SINK_RETURN_IF_ERROR(context_->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(checkpoint.job_id));
    SINK_ASSIGN_OR_RETURN(std::vector<Checkpoint> rest, rows.ListCheckpoints(job.id));
    const size_t before = rest.size();
    std::erase_if(rest, [&](const Checkpoint& row) {
      return row.step == checkpoint.step && row.fence == checkpoint.fence &&
             row.manifest_hash == checkpoint.manifest_hash;
    });
    if (rest.size() == before || job.state == JobState::kSucceeded) return absl::OkStatus();
    SINK_RETURN_IF_ERROR(rows.DeleteCheckpoint(job.id, checkpoint.step));
    const std::string what =
        absl::StrCat(" and was dropped (", damage, "); ",
                     rest.empty() ? std::string("no other is left, so training begins anew")
                                  : absl::StrCat("the newest that is left is that of step ", rest.front().step));
    SINK_RETURN_IF_ERROR(rows.AppendLogs(job.id, {DamageLine(job, checkpoint, what, now)}));
    dropped = true;
    return TellJob(rows, job);
  }));
  return dropped;
}

absl::Status CheckpointCalls::TellDamage(const Checkpoint& checkpoint, const std::string& damage, Now now) {
  return context_->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(checkpoint.job_id));
    return rows.AppendLogs(job.id, {DamageLine(job, checkpoint, absl::StrCat(" (", damage, ")"), now)});
  });
}

absl::Status CheckpointCalls::Drop(std::string_view name, const std::vector<int64_t>& steps) {
  return context_->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::string id, ResolveJob(rows, name));
    SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(id));
    SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(id));
    for (const int64_t step : steps) {
      const auto checkpoint = FindStep(checkpoints, step);
      if (checkpoint == checkpoints.end()) return NoSuchStep(job, checkpoints, step);
      if (checkpoint->pinned) return StillPinned(*checkpoint);
      SINK_RETURN_IF_ERROR(rows.DeleteCheckpoint(id, step));
    }
    return TellJob(rows, job);
  });
}

absl::Status CheckpointCalls::Pin(std::string_view name, int64_t step, bool pinned) {
  return context_->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::string id, ResolveJob(rows, name));
    SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(id));
    SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(id));
    if (FindStep(checkpoints, step) == checkpoints.end()) return NoSuchStep(job, checkpoints, step);
    return rows.PinCheckpoint(id, step, pinned);
  });
}

absl::StatusOr<std::vector<store::DeletedJob>> CheckpointCalls::Deleted() {
  std::vector<store::DeletedJob> jobs;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(jobs, rows.ListDeletedJobs());
    return absl::OkStatus();
  }));
  return jobs;
}

absl::Status CheckpointCalls::FilesAreGone(const std::vector<store::DeletedJob>& jobs) {
  if (jobs.empty()) return absl::OkStatus();
  return context_->Write([&](store::Transaction& rows) -> absl::Status {
    for (const store::DeletedJob& job : jobs) SINK_RETURN_IF_ERROR(rows.ForgetDeletedJob(job));
    return absl::OkStatus();
  });
}

absl::Status CheckCanKeepUpTo(store::Snapshot& rows, const Job& job, int64_t step) {
  SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(job.id));
  if (step > 0 && FindStep(checkpoints, step) == checkpoints.end()) return NoSuchStep(job, checkpoints, step);
  for (const Checkpoint& checkpoint : checkpoints) {
    if (checkpoint.step > step && checkpoint.pinned) return StillPinned(checkpoint);
  }
  return absl::OkStatus();
}

absl::Status KeepUpTo(store::Transaction& rows, const Job& job, int64_t step) {
  SINK_RETURN_IF_ERROR(CheckCanKeepUpTo(rows, job, step));
  SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> checkpoints, rows.ListCheckpoints(job.id));
  for (const Checkpoint& checkpoint : checkpoints) {
    if (checkpoint.step > step) SINK_RETURN_IF_ERROR(rows.DeleteCheckpoint(job.id, checkpoint.step));
  }
  return absl::OkStatus();
}

}  // namespace sink
