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

// A sentence of ways to go on. `salvage`: something of it is left.
absl::Status Lost(const std::string& database, const std::string& what, bool salvage) {
  return absl::DataLossError(absl::StrCat(
      "the database ", database, " ", what, "; nothing was changed. With the service stopped, put the files back that ",
      "belong together, or ", HowToPutBack(database),
      salvage ? absl::StrCat(", or go on with what is there, and keep the files beside: ", SalvageCommand(database))
              : std::string()));
}

// SQLite lays a newer log over the older file and goes on with what comes of it.
absl::Status CheckFile(const std::string& database, const Witness& witness) {
  const absl::StatusOr<CountedFile> alone = ReadCount(database, Database::Mode::kUnchanging);
  if (!alone.ok()) return absl::OkStatus();  // a checkpoint that was interrupted leaves a file that needs its log
  const CommitCount& count = alone->count;
  if (witness.in_file == 0 || (count.database == witness.count.database && count.commits >= witness.in_file))
    return absl::OkStatus();
  if (count.database != witness.count.database && count.database != 0)
    return Lost(database, "is another coordinator's, or was put there by hand", /*salvage=*/false);
  return Lost(database,
              absl::StrCat("is older than it was: it has ", count.commits, " commits where it had ", witness.in_file,
                           ", so that the log beside it (-wal) is not its own any more"),
              /*salvage=*/count.database != 0);
}

}  // namespace

absl::Status CheckCommits(const std::string& database, Use use) {
  // First: a coordinator that runs writes it after its commits.
  SINK_ASSIGN_OR_RETURN(const std::optional<Witness> witness, ReadWitness(database));
  if (!witness) return absl::OkStatus();
  if (!HasBytes(database)) {
    return absl::FailedPreconditionError(absl::StrCat("the database ", database, " is missing or empty, and ",
                                                      witness->count.commits, " commits were acknowledged in it: put ",
                                                      "the file back, or ", HowToPutBack(database),
                                                      "; to begin anew, remove ", WitnessPath(database)));
  }
  if (use == Use::kAlone) SINK_RETURN_IF_ERROR(CheckFile(database, *witness));
  // Who writes has a log. Without one nothing need be written beside the file.
  std::error_code ignored;
  const bool has_log = fs::exists(database + "-wal", ignored);
  const auto mode = has_log ? Database::Mode::kReadOnly : Database::Mode::kUnchanging;
  SINK_ASSIGN_OR_RETURN(const CountedFile there, ReadCount(database, mode));
  if (there.count.database != witness->count.database && there.count.database != 0) {
    const auto alone = ReadCount(database, Database::Mode::kUnchanging);
    return Lost(database, "has another coordinator's log beside it (-wal), or is another's, or was put there by hand",
                /*salvage=*/alone.ok() && alone->count.database == witness->count.database);
  }
  if (there.count.commits >= witness->count.commits) return absl::OkStatus();
  return Lost(database,
              absl::StrCat("has lost commits: it acknowledged ", witness->count.commits, " and has ",
                           there.count.commits, " of them. It or the log beside it (-wal) was removed, emptied, cut ",
                           "short or exchanged for an older one, or the disk did not keep what it was told to"),
              /*salvage=*/true);
}

absl::Status CheckLogAndCommits(const std::string& database, Use use) {
  SINK_RETURN_IF_ERROR(CheckLog(database));
  return CheckCommits(database, use);
}

absl::StatusOr<bool> PrepareDatabase(const std::string& database) {
  SINK_ASSIGN_OR_RETURN(const LogState log, LookAtLog(database));
  SINK_RETURN_IF_ERROR(CheckCommits(database, Use::kAlone));
  if (log.committed > 0) return true;
  SINK_RETURN_IF_ERROR(EmptyLog(database));
  return false;
}

absl::StatusOr<Rest> ChooseRest(const std::string& database) {
  SINK_ASSIGN_OR_RETURN(const std::optional<Witness> witness, ReadWitness(database));
  const absl::StatusOr<CountedFile> alone = ReadCount(database, Database::Mode::kUnchanging);
  const absl::StatusOr<CountedFile> with_log = ReadCount(database, Database::Mode::kReadOnly);
  for (const absl::Status& failed : {alone.status(), with_log.status()}) {
    if (!failed.ok() && !absl::IsDataLoss(failed)) return failed;  // it may pass
  }
  const auto is_its_own = [&witness](const absl::StatusOr<CountedFile>& read) {
    return read.ok() && (!witness || read->count.database == witness->count.database);
  };
  const bool damaged = absl::IsDataLoss(CheckLog(database));
  // It is whole, and cannot be had: a file beside it is somebody else's, say.
  if (!damaged && !with_log.ok()) return with_log.status();
  if (!is_its_own(alone) && !is_its_own(with_log) && (alone.ok() || with_log.ok())) {
    return absl::DataLossError(absl::StrCat("neither the database ", database, " nor its log is the one of which ",
                                            WitnessPath(database), " speaks; nothing was changed: put the files back ",
                                            "that belong together, or ", HowToPutBack(database)));
  }
  const bool older = witness && is_its_own(alone) && alone->count.commits < witness->in_file;  // not this log's file
  if (is_its_own(with_log) && !older && !(is_its_own(alone) && alone->count.commits > with_log->count.commits)) {
    if (!damaged) return Rest::kWithLog;
    SINK_ASSIGN_OR_RETURN(const bool mixed, HasPagesFromBehind(database));
    if (!mixed) return Rest::kWithLog;
  }
  if (is_its_own(alone)) {
    // A log without damage is not the one that this file had, and says nothing of it.
    if (!damaged || older) return Rest::kFileAlone;
    SINK_ASSIGN_OR_RETURN(const bool whole, IsOfOneCommit(database, alone->page));
    if (whole) return Rest::kFileAlone;
  }
  return absl::DataLossError(
      absl::StrCat("the database ", database,
                   " cannot be read, or has some of the changes from behind the damage in its log and not ",
                   "all up to any commit, so that no part of it is whole; nothing was changed: only a backup helps: ",
                   HowToPutBack(database)));
}

}  // namespace sink::store
