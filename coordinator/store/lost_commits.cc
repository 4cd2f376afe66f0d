// See lost_commits.h.
#include "coordinator/store/lost_commits.h"

#include <filesystem>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/commit_witness.h"
#include "coordinator/store/sqlite_db.h"
#include "coordinator/store/wal_check.h"

namespace sink::store {
namespace {

namespace fs = std::filesystem;

bool HasBytes(const std::string& path) {
  std::error_code error;
  const uintmax_t size = fs::file_size(path, error);
  return !error && size > 0;
}

struct CountedFile {
  CommitCount count;
  uint32_t page = 0;  // where the count stands
};

absl::StatusOr<CountedFile> ReadCount(const std::string& database, Database::Mode mode) {
  SINK_ASSIGN_OR_RETURN(const std::unique_ptr<Database> db, Database::Open(database, mode));
  SINK_ASSIGN_OR_RETURN(const int64_t tables, db->QueryInt("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'"));
  if (tables == 0) return CountedFile();  // nothing was committed there yet, or by an older program
  CountedFile counted;
  SINK_ASSIGN_OR_RETURN(counted.count, db->ReadCommitCount());
  SINK_ASSIGN_OR_RETURN(const int64_t page, db->QueryInt("SELECT rootpage FROM sqlite_schema WHERE name = 'meta'"));
  counted.page = static_cast<uint32_t>(page);
  return counted;
}

std::string WaysOut(const std::string& database) {
  const std::string folder = FolderOfDatabase(database);
  return absl::StrCat(
      "; nothing was changed. With the service stopped, put the files back that belong together, or a ",
      "backup in their place (sink-backup restore --from BACKUP --data ", folder,
      " --replace), or go on with what is there, and keep the files beside: sink-backup salvage --data ", folder);
}

}  // namespace

absl::Status CheckCommits(const std::string& database) {
  // First: a coordinator that runs writes it after its commits.
  const std::optional<CommitCount> witness = ReadWitness(database);
  if (!witness) return absl::OkStatus();
  if (!HasBytes(database)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the database ", database, " is missing or empty, and ", witness->commits, " commits were acknowledged in it (",
        WitnessPath(database), "): put the file back, or a backup in its place (sink-backup restore --from BACKUP ",
        "--data ", FolderOfDatabase(database), " --replace); to begin anew, remove that file too"));
  }
  // Without a log nothing need be written beside it.
  const auto mode = HasBytes(database + "-wal") ? Database::Mode::kReadOnly : Database::Mode::kUnchanging;
  SINK_ASSIGN_OR_RETURN(const CountedFile there, ReadCount(database, mode));
  if (there.count.database != witness->database && there.count.database != 0) {
    return absl::DataLossError(absl::StrCat("the database ", database, " or the log beside it (-wal) is another ",
                                            "coordinator's, or an older one that was put back by hand",
                                            WaysOut(database)));
  }
  if (there.count.commits >= witness->commits) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "the database ", database, " has lost commits: it acknowledged ", witness->commits, " and has ",
      there.count.commits, " of them. It or the log beside it (-wal) was removed, emptied, cut short or exchanged for ",
      "an older one, or the disk did not keep what it was told to", WaysOut(database)));
}

absl::Status CheckLogAndCommits(const std::string& database) {
  SINK_RETURN_IF_ERROR(CheckLog(database));
  return CheckCommits(database);
}

absl::StatusOr<Rest> ChooseRest(const std::string& database) {
  const absl::StatusOr<CountedFile> alone = ReadCount(database, Database::Mode::kUnchanging);
  const absl::StatusOr<CountedFile> with_log = ReadCount(database, Database::Mode::kReadOnly);
  if (!with_log.ok() && !alone.ok()) return with_log.status();
  if (!alone.ok()) return Rest::kWithLog;
  if (!with_log.ok()) return Rest::kFileAlone;
  const bool same = alone->count.database == with_log->count.database || alone->count.database == 0;
  if (same && alone->count.commits <= with_log->count.commits) return Rest::kWithLog;
  // A log without damage is no witness of what a checkpoint did: it is not the one that this file had.
  const absl::Status log = CheckLog(database);
  if (!absl::IsDataLoss(log) || !same) return Rest::kFileAlone;
  SINK_ASSIGN_OR_RETURN(const bool whole, IsOfOneCommit(database, alone->page));
  if (whole) return Rest::kFileAlone;
  return absl::DataLossError(absl::StrCat(
      "the database ", database, " has some of the changes from behind the damage in its log, and not all up to any ",
      "commit, so that no part of it is whole; nothing was changed: only a backup helps (sink-backup restore --from ",
      "BACKUP --data ", FolderOfDatabase(database), " --replace)"));
}

}  // namespace sink::store
