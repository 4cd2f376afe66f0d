// See salvage.h. The order: every copy beside what it is a copy of, then the replacement. One that is interrupted
// before the replacement's note is begun anew; later, it goes on as the note says.
#include "coordinator/backup/salvage.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "coordinator/backup/data_folder.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/begun_salvage.h"
#include "coordinator/store/database_copy.h"
#include "coordinator/store/folder_lock.h"
#include "coordinator/store/lost_commits.h"
#include "proto/files/shell_word.h"

namespace sink::backup {
namespace {

namespace fs = std::filesystem;
using store::DatabaseCopy;
using store::Source;

absl::StatusOr<bool> HasLostCommits(const std::string& database) {
  const absl::Status status = store::CheckLogAndCommits(database, store::Use::kAlone);
  if (absl::IsDataLoss(status)) return true;
  if (!status.ok()) return status;
  return false;
}

// Whether all its files are there with their sizes. False only for sure: what is out of reach is an error.
absl::StatusOr<bool> HasFiles(const std::string& data, const Checkpoint& row) {
  const std::string folder = CheckpointPath(data, row);
  std::error_code unreachable;
  const fs::file_type there = fs::symlink_status(folder, unreachable).type();
  if (there == fs::file_type::none) return SystemStatus(unreachable.value(), "look at", folder);
  if (there == fs::file_type::not_found) return false;
  for (const CheckpointFile& file : row.files) {
    const std::string path = InFolder(folder, file.name);
    std::error_code error;
    const fs::file_type type = fs::symlink_status(path, error).type();
    if (type == fs::file_type::none) return SystemStatus(error.value(), "look at", path);
    if (type != fs::file_type::regular) return false;
    const uint64_t size = fs::file_size(path, error);
    if (error) return SystemStatus(error.value(), "look at", path);
    if (size != file.size) return false;
  }
  return true;
}

absl::StatusOr<std::vector<Checkpoint>> ListGone(const std::string& data, const std::vector<Checkpoint>& rows) {
  std::vector<Checkpoint> gone;
  SINK_ASSIGN_OR_RETURN(const std::vector<CheckpointKey> there, ListComplete(CheckpointsFolder(data)));
  if (there.empty()) return gone;  // their disk may be away
  for (const Checkpoint& row : rows) {
    SINK_ASSIGN_OR_RETURN(const bool has_files, HasFiles(data, row));
    if (!has_files) gone.push_back(row);
  }
  return gone;
}

absl::Status CopyJobs(const std::string& data, int64_t unix_seconds, Replacement* replacement) {
  const std::string place = DatabasePath(data);
  SINK_ASSIGN_OR_RETURN(DatabaseCopy copy, DatabaseCopy::Take(place, PartOf(place), Source::kLostCommits));
  SINK_ASSIGN_OR_RETURN(std::vector<Checkpoint> rows, copy.ListCheckpoints());
  SINK_ASSIGN_OR_RETURN(const bool away, copy.IsAway(CheckpointsFolder(data)));  // then nothing of them is lost
  std::vector<Checkpoint> gone;
  if (!away) {
    SINK_ASSIGN_OR_RETURN(gone, ListGone(data, rows));
  }
  SINK_RETURN_IF_ERROR(copy.Forget(gone));
  SINK_RETURN_IF_ERROR(copy.PrepareRestored(store::EpochOf(place), unix_seconds));
  replacement->forgotten = static_cast<int64_t>(gone.size());
  SINK_ASSIGN_OR_RETURN(const std::vector<std::string> begun_anew, copy.ListBegunAnew(gone));
  replacement->begun_anew = static_cast<int64_t>(begun_anew.size());
  SINK_ASSIGN_OR_RETURN(replacement->jobs, copy.CountJobs());
  SINK_ASSIGN_OR_RETURN(rows, copy.ListCheckpoints());
  SINK_RETURN_IF_ERROR(copy.Close());
  if (away) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(replacement->checkpoints, ListUnnamed(data, rows));
  return absl::OkStatus();
}

// Up to the note.
absl::Status Prepare(const std::string& data, int64_t unix_seconds) {
  Replacement replacement;
  std::vector<std::string>& lossy = replacement.databases;
  absl::Status missing;  // which nothing here brings back
  for (const char* name : kDatabases) {
    const std::string place = InFolder(data, name);
    if (!IsThere(place)) {
      missing.Update(store::CheckLogAndCommits(place, store::Use::kAlone));
      continue;
    }
    SINK_ASSIGN_OR_RETURN(const bool has_lost, HasLostCommits(place));
    if (has_lost) lossy.push_back(name);
  }
  if (lossy.empty()) {
    SINK_RETURN_IF_ERROR(missing);
    return absl::FailedPreconditionError(absl::StrCat(
        "no database in ", data,
        " has lost commits, so there is nothing to salvage: where the coordinator does not start, it ",
        "says why; where a database itself is damaged, put the last good backup in its place (sink-backup restore ",
        "--from BACKUP --data ", files::ShellWord(data), " --replace), or rescue what is readable: sqlite3 ",
        files::ShellWord(DatabasePath(data)), " .recover"));
  }
  auto remove_parts = absl::MakeCleanup([&] {
    for (const std::string& name : lossy) store::RemoveDatabase(PartOf(InFolder(data, name)));
  });
  for (const std::string& name : lossy) {
    if (name == kJobsDatabase) {
      SINK_RETURN_IF_ERROR(CopyJobs(data, unix_seconds, &replacement));
    } else {
      const std::string place = InFolder(data, name);
      SINK_RETURN_IF_ERROR(store::CopyDatabase(place, PartOf(place), Source::kLostCommits));
    }
  }
  std::move(remove_parts).Cancel();
  return BeginReplacement(data, replacement);
}

}  // namespace

absl::StatusOr<Replaced> Salvage(const std::string& data, int64_t unix_seconds) {
  const std::string jobs = DatabasePath(data);
  const auto is_begun = [&data] { return !store::RefuseBegunSalvage(data).ok(); };
  std::error_code ignored;
  if (!fs::exists(jobs, ignored) && !is_begun()) {
    return absl::FailedPreconditionError(absl::StrCat("there is no coordinator's database ", jobs));
  }
  SINK_ASSIGN_OR_RETURN(const int lock, store::LockFolder(data));
  const auto unlock = absl::MakeCleanup([lock] { close(lock); });
  if (!is_begun()) SINK_RETURN_IF_ERROR(Prepare(data, unix_seconds));
  return FinishReplacement(data);
}

}  // namespace sink::backup
