// See salvage.h. The order: every copy beside what it is a copy of, then the checkpoints that are not named, then each
// copy into its place. One that is interrupted is begun again.
#include "coordinator/backup/salvage.h"

#include <unistd.h>

#include <filesystem>
#include <set>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "coordinator/backup/ownership.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/database_copy.h"
#include "coordinator/store/folder_lock.h"
#include "coordinator/store/wal_check.h"
#include "proto/files/files.h"

namespace sink::backup {
namespace {

namespace fs = std::filesystem;
using store::DatabaseCopy;
using store::Source;

constexpr mode_t kSetAsideMode = 0700;

std::string PartOf(const std::string& database) { return database + ".part"; }

absl::StatusOr<bool> HasDamagedLog(const std::string& database) {
  const absl::Status status = store::CheckLog(database).status();
  if (absl::IsDataLoss(status)) return true;
  if (!status.ok()) return status;
  return false;
}

// "step-12", and not what is still on its way or half removed.
bool IsComplete(const fs::path& checkpoint) {
  return checkpoint.filename().string().starts_with("step-") && checkpoint.extension().empty();
}

// Moves the complete checkpoints that are not among `rows`; how many.
absl::StatusOr<int64_t> SetAsideCheckpoints(const std::string& data, const std::vector<Checkpoint>& rows) {
  const fs::path folder = fs::path(data) / "checkpoints", aside = folder / "set-aside";
  std::set<fs::path> named;
  for (const Checkpoint& row : rows) {
    named.insert(fs::path(row.job_id) / std::to_string(row.fence) / absl::StrCat("step-", row.step));
  }
  std::error_code error;
  if (!fs::exists(folder, error)) return 0;
  std::vector<fs::path> unnamed;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path() == aside) it.disable_recursion_pending();
    if (it.depth() < 2) continue;  // a job, a fence
    it.disable_recursion_pending();
    const fs::path name = it->path().lexically_relative(folder);
    if (IsComplete(name) && !named.contains(name)) unnamed.push_back(name);
  }
  if (error) return SystemStatus(error.value(), "list", folder.string());
  for (const fs::path& name : unnamed) {
    const fs::path to = aside / name;
    SINK_RETURN_IF_ERROR(ToStatus(files::MakeFolders(to.parent_path().string(), kSetAsideMode)));
    SINK_RETURN_IF_ERROR(ToStatus(files::RenameDurably((folder / name).string(), to.string())));
  }
  return static_cast<int64_t>(unnamed.size());
}

absl::Status CopyJobs(const std::string& data, const std::string& place, int64_t unix_seconds, Salvaged* salvaged) {
  SINK_ASSIGN_OR_RETURN(DatabaseCopy copy, DatabaseCopy::Take(place, PartOf(place), Source::kDamagedLog));
  SINK_RETURN_IF_ERROR(copy.PrepareRestored(store::EpochOf(place), unix_seconds));
  SINK_ASSIGN_OR_RETURN(salvaged->jobs, copy.CountJobs());
  SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> rows, copy.ListCheckpoints());
  SINK_RETURN_IF_ERROR(copy.Close());
  SINK_ASSIGN_OR_RETURN(salvaged->checkpoints, SetAsideCheckpoints(data, rows));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Salvaged> Salvage(const std::string& data, int64_t unix_seconds) {
  const std::string jobs = absl::StrCat(data, "/sink.db"), identity = absl::StrCat(data, "/tls/identity.db");
  std::error_code ignored;
  if (!fs::exists(jobs, ignored)) {
    return absl::FailedPreconditionError(absl::StrCat("there is no coordinator's database ", jobs));
  }
  SINK_ASSIGN_OR_RETURN(const int lock, store::LockFolder(data));
  const auto unlock = absl::MakeCleanup([lock] { close(lock); });
  std::vector<std::string> damaged;
  for (const std::string& database : {jobs, identity, absl::StrCat(data, "/tls/audit.db")}) {
    SINK_ASSIGN_OR_RETURN(const bool is_damaged, HasDamagedLog(database));
    if (is_damaged) damaged.push_back(database);
  }
  if (damaged.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("no log in ", data, " is damaged: start the coordinator"));
  }
  const auto remove_parts = absl::MakeCleanup([&damaged] {
    for (const std::string& database : damaged) store::RemoveDatabase(PartOf(database));
  });
  Salvaged salvaged{.set_aside = {}, .jobs = -1};
  for (const std::string& database : damaged) {  // the jobs' last: it moves checkpoints
    if (database != jobs) SINK_RETURN_IF_ERROR(store::CopyDatabase(database, PartOf(database), Source::kDamagedLog));
    if (database == identity) salvaged.identity = true;
  }
  if (damaged.front() == jobs) SINK_RETURN_IF_ERROR(CopyJobs(data, jobs, unix_seconds, &salvaged));
  for (const std::string& database : damaged) {
    SINK_RETURN_IF_ERROR(ToStatus(files::SyncFile(PartOf(database))));
    SINK_ASSIGN_OR_RETURN(salvaged.set_aside.emplace_back(), store::SetAside(database));
    SINK_RETURN_IF_ERROR(ToStatus(files::RenameDurably(PartOf(database), database)));
  }
  SINK_RETURN_IF_ERROR(GiveToOwner(data));
  return salvaged;
}

}  // namespace sink::backup
