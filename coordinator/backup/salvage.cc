// See salvage.h. The order: every copy beside what it is a copy of, then the checkpoints that are not named, then a
// note of what is left to do, then each copy into its place. One that is interrupted before the note is begun anew;
// later, it goes on as the note says, whatever is done already.
#include "coordinator/backup/salvage.h"

#include <unistd.h>

#include <filesystem>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "coordinator/backup/ownership.h"
#include "coordinator/backup/set_aside.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/begun_salvage.h"
#include "coordinator/store/database_copy.h"
#include "coordinator/store/folder_lock.h"
#include "coordinator/store/lost_commits.h"
#include "proto/files/files.h"

namespace sink::backup {
namespace {

namespace fs = std::filesystem;
using store::DatabaseCopy;
using store::Source;

constexpr mode_t kSetAsideMode = 0700, kNoteMode = 0600;
constexpr size_t kMostNoteBytes = 4096;
// In the data folder. The jobs' first.
constexpr const char* kJobs = "sink.db";
constexpr const char* kIdentity = "tls/identity.db";
constexpr const char* kDatabases[] = {kJobs, kIdentity, "tls/audit.db"};

std::string PartOf(const std::string& database) { return database + ".part"; }

absl::StatusOr<bool> HasDamagedLog(const std::string& database) {
  const absl::Status status = store::CheckLogAndCommits(database);
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

// Up to the note, which says how many jobs and checkpoints there are, and of each database under which name it is kept:
//   12 3
//   sink.db sink.db.replaced
absl::Status Prepare(const std::string& data, int64_t unix_seconds) {
  std::vector<std::string> damaged;
  for (const char* name : kDatabases) {
    SINK_ASSIGN_OR_RETURN(const bool is_damaged, HasDamagedLog(absl::StrCat(data, "/", name)));
    if (is_damaged) damaged.push_back(name);
  }
  if (damaged.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("no log in ", data,
                     " is damaged, so there is nothing to salvage: where the coordinator does not start, it says why"));
  }
  auto remove_parts = absl::MakeCleanup([&] {
    for (const std::string& name : damaged) store::RemoveDatabase(PartOf(absl::StrCat(data, "/", name)));
  });
  Salvaged salvaged{.set_aside = {}, .jobs = -1};
  for (const std::string& name : damaged) {
    const std::string place = absl::StrCat(data, "/", name);
    if (name != kJobs) SINK_RETURN_IF_ERROR(store::CopyDatabase(place, PartOf(place), Source::kDamagedLog));
  }
  // Last, as it moves checkpoints.
  if (damaged.front() == kJobs) {
    SINK_RETURN_IF_ERROR(CopyJobs(data, absl::StrCat(data, "/", kJobs), unix_seconds, &salvaged));
  }
  std::string note = absl::StrCat(salvaged.jobs, " ", salvaged.checkpoints, "\n");
  for (const std::string& name : damaged) {
    const std::string place = absl::StrCat(data, "/", name);
    SINK_RETURN_IF_ERROR(ToStatus(files::SyncFile(PartOf(place))));
    SINK_RETURN_IF_ERROR(ToStatus(files::SyncFolder(files::FolderOf(place))));
    absl::StrAppend(&note, name, " ", NameAside(place).substr(data.size() + 1), "\n");
  }
  SINK_RETURN_IF_ERROR(GiveToOwner(data));
  // From here on nothing is taken back: a note that could not be written to its end may be there after all.
  std::move(remove_parts).Cancel();
  return ToStatus(files::ReplaceFile(store::SalvageNote(data), note, kNoteMode));
}

// While its part is there, a database is not in its place yet.
absl::Status PutIntoPlace(const std::string& place, const std::string& aside) {
  std::error_code error;
  if (fs::exists(PartOf(place), error)) {
    SINK_RETURN_IF_ERROR(MoveDatabase(place, aside));
    return ToStatus(files::RenameDurably(PartOf(place), place));
  }
  if (!error && fs::exists(place, error)) return absl::OkStatus();
  if (error) return SystemStatus(error.value(), "look at", place);
  return absl::DataLossError(absl::StrCat(PartOf(place), " is gone, which was to become ", place,
                                          ": put it back, or remove salvage-begun and restore a backup; the database ",
                                          "is kept as ", aside));
}

absl::StatusOr<Salvaged> Finish(const std::string& data) {
  const std::string note = store::SalvageNote(data);
  const auto text = files::ReadFile(note, kMostNoteBytes);
  if (!text.ok()) return ToStatus(text.error());
  std::istringstream words(*text);
  Salvaged salvaged;
  words >> salvaged.jobs >> salvaged.checkpoints;
  for (std::string name, aside; words >> name >> aside;) {
    salvaged.set_aside.push_back(absl::StrCat(data, "/", aside));
    SINK_RETURN_IF_ERROR(PutIntoPlace(absl::StrCat(data, "/", name), salvaged.set_aside.back()));
    if (name == kIdentity) salvaged.identity = true;
  }
  if (salvaged.set_aside.empty())
    return absl::DataLossError(absl::StrCat(note, " does not say what was begun: remove it and restore a backup"));
  std::error_code error;
  fs::remove(note, error);
  if (error) return SystemStatus(error.value(), "remove", note);
  SINK_RETURN_IF_ERROR(ToStatus(files::SyncFolder(data)));
  return salvaged;
}

}  // namespace

absl::StatusOr<Salvaged> Salvage(const std::string& data, int64_t unix_seconds) {
  const std::string jobs = absl::StrCat(data, "/", kJobs);
  const auto is_begun = [&data] { return !store::RefuseBegunSalvage(data).ok(); };
  std::error_code ignored;
  if (!fs::exists(jobs, ignored) && !is_begun()) {
    return absl::FailedPreconditionError(absl::StrCat("there is no coordinator's database ", jobs));
  }
  SINK_ASSIGN_OR_RETURN(const int lock, store::LockFolder(data));
  const auto unlock = absl::MakeCleanup([lock] { close(lock); });
  if (!is_begun()) SINK_RETURN_IF_ERROR(Prepare(data, unix_seconds));
  return Finish(data);
}

}  // namespace sink::backup
