// See database_copy.h.
#include "coordinator/store/database_copy.h"

#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/checkpoint_folder.h"
#include "coordinator/store/lost_commits.h"
#include "coordinator/store/restored.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/sqlite_transaction.h"

namespace sink::store {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLogEndings[] = {"-commits", "-wal", "-shm"};  // the witness too: it is another file's
constexpr const char* kEndings[] = {"-commits", "-wal", "-shm", ""};

// What was written goes to a log first. When a database is closed SQLite puts the log into the file by itself, but says
// nothing where it cannot, as on a disk that has room for one of them alone.
absl::Status PutLogIntoFile(Database& db) {
  return db.ToStatus(sqlite3_wal_checkpoint_v2(db.handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr));
}

absl::Status DamagedDatabase(const std::string& found) {
  return absl::DataLossError(absl::StrCat(
      "the database is damaged: ", found,
      ": keep a copy of it and of the -wal beside it, and put the last good backup ",
      "in its place (sink-backup restore --from BACKUP --data DIR --replace), or rescue what is readable: sqlite3 ",
      "FILE .recover"));
}

absl::Status CheckIntegrity(Database& db) {
  Query check(db, "PRAGMA integrity_check(1)");
  if (!check.Next()) return check.status();
  if (const std::string found = check.Text(0); found != "ok") return DamagedDatabase(found);
  Query keys(db, "PRAGMA foreign_key_check");
  if (keys.Next()) return DamagedDatabase(absl::StrCat("rows of ", keys.Text(0)));
  return keys.status();
}

// How `from` is read, once it is known that its copy has all that it should. One at rest that was not closed properly,
// or is in use after all, has a log beside it that must be read with it.
absl::StatusOr<Database::Mode> ModeFor(const std::string& from, Source source) {
  if (source == Source::kLostCommits) {
    SINK_ASSIGN_OR_RETURN(const Rest rest, ChooseRest(from));
    return rest == Rest::kFileAlone ? Database::Mode::kUnchanging : Database::Mode::kReadOnly;
  }
  // A copy without what is behind the damage would take the place of an older one that has it.
  SINK_RETURN_IF_ERROR(CheckLogAndCommits(from, Use::kShared));
  std::error_code ignored;
  const bool has_log = fs::exists(from + "-wal", ignored);
  return source == Source::kAtRest && !has_log ? Database::Mode::kUnchanging : Database::Mode::kReadOnly;
}

absl::StatusOr<std::unique_ptr<Database>> Copy(const std::string& from, const std::string& to, Source source) {
  std::error_code error;
  if (!fs::exists(from, error)) {
    return absl::FailedPreconditionError(absl::StrCat("there is no coordinator's database ", from));
  }
  SINK_ASSIGN_OR_RETURN(const Database::Mode mode, ModeFor(from, source));
  SINK_ASSIGN_OR_RETURN(const std::unique_ptr<Database> original, Database::Open(from, mode));
  RemoveDatabase(to);
  SINK_ASSIGN_OR_RETURN(std::unique_ptr<Database> copy, Database::Open(to, Database::Mode::kReadWrite));
  fs::permissions(to, fs::perms::owner_read | fs::perms::owner_write, error);  // leases and keys are secrets
  if (error) return absl::InternalError(absl::StrCat("cannot close ", to, ": ", error.message()));
  sqlite3_backup* const backup = sqlite3_backup_init(copy->handle(), "main", original->handle(), "main");
  if (backup == nullptr) return copy->ToStatus(sqlite3_errcode(copy->handle()));
  sqlite3_backup_step(backup, -1);  // all pages in one go: of one moment, whatever is written meanwhile
  SINK_RETURN_IF_ERROR(copy->ToStatus(sqlite3_backup_finish(backup)));
  SINK_RETURN_IF_ERROR(PutLogIntoFile(*copy));
  SINK_RETURN_IF_ERROR(CheckIntegrity(*copy));
  return copy;
}

}  // namespace

absl::Status CopyDatabase(const std::string& from, const std::string& to, Source source) {
  return Copy(from, to, source).status();
}

absl::StatusOr<DatabaseCopy> DatabaseCopy::Take(const std::string& from, const std::string& to, Source source) {
  SINK_ASSIGN_OR_RETURN(std::unique_ptr<Database> copy, Copy(from, to, source));
  SINK_RETURN_IF_ERROR(Migrate(*copy));  // of an older program's, too
  return DatabaseCopy(std::move(copy));
}

absl::StatusOr<std::vector<Checkpoint>> DatabaseCopy::ListCheckpoints() {
  std::vector<Checkpoint> rows;
  Query query(*db_,
              "SELECT j.id, c.step, c.attempt, c.fence, c.manifest_hash, c.files, c.committed_ms, c.validation_loss, "
              "c.pinned FROM checkpoints AS c JOIN jobs AS j ON j.seq = c.job ORDER BY c.job, c.step");
  while (query.Next()) {
    rows.push_back({.job_id = query.Text(0),
                    .step = query.Int(1),
                    .attempt = static_cast<int>(query.Int(2)),
                    .fence = static_cast<uint64_t>(query.Int(3)),
                    .manifest_hash = query.Text(4),
                    .files = DecodeFiles(query.Bytes(5)),
                    .committed_ms = query.Int(6),
                    .validation_loss = query.Real(7),
                    .pinned = query.Int(8) != 0});
  }
  if (!query.status().ok()) return query.status();
  return rows;
}

absl::Status DatabaseCopy::Forget(const std::vector<Checkpoint>& checkpoints) {
  SeriesNames names;
  SqliteTransaction rows(*db_, names);
  for (const Checkpoint& checkpoint : checkpoints) {
    SINK_RETURN_IF_ERROR(rows.DeleteCheckpoint(checkpoint.job_id, checkpoint.step));
  }
  return absl::OkStatus();
}

absl::Status DatabaseCopy::Add(const std::vector<Checkpoint>& checkpoints) {
  SeriesNames names;
  SqliteTransaction rows(*db_, names);
  for (const Checkpoint& checkpoint : checkpoints) {
    SINK_RETURN_IF_ERROR(rows.PutCheckpoint(checkpoint));
    SINK_RETURN_IF_ERROR(rows.PinCheckpoint(checkpoint.job_id, checkpoint.step, checkpoint.pinned));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> DatabaseCopy::CountJobs() { return db_->QueryInt("SELECT count(*) FROM jobs"); }

absl::StatusOr<std::vector<std::string>> DatabaseCopy::ListBegunAnew(const std::vector<Checkpoint>& forgotten) {
  SeriesNames names;
  SqliteTransaction rows(*db_, names);
  std::set<std::string> jobs;
  for (const Checkpoint& checkpoint : forgotten) jobs.insert(checkpoint.job_id);
  std::vector<std::string> begun_anew;
  for (const std::string& id : jobs) {
    SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(id));
    SINK_ASSIGN_OR_RETURN(const std::vector<Checkpoint> left, rows.ListCheckpoints(id));
    if (!IsFinal(job.state) && left.empty()) begun_anew.push_back(id);
  }
  return begun_anew;
}

absl::StatusOr<int64_t> DatabaseCopy::FolderId() {
  SeriesNames names;
  return SqliteTransaction(*db_, names).GetMark(kFolderIdMark);
}

absl::StatusOr<bool> DatabaseCopy::IsAway(const std::string& folder) {
  SINK_ASSIGN_OR_RETURN(const int64_t known, FolderId());
  SINK_ASSIGN_OR_RETURN(const int64_t found, ReadFolderId(folder));
  return known != 0 && found != known;
}

absl::Status DatabaseCopy::SetFolderId(int64_t id) {
  SeriesNames names;
  return SqliteTransaction(*db_, names).PutMark(kFolderIdMark, id);
}

absl::Status DatabaseCopy::PrepareRestored(uint64_t replaced, int64_t unix_seconds) {
  SeriesNames names;
  SqliteTransaction rows(*db_, names);
  SINK_RETURN_IF_ERROR(db_->ForgetCommitCount());
  return store::PrepareRestored(rows, replaced, unix_seconds);
}

absl::Status DatabaseCopy::Close() {
  SINK_RETURN_IF_ERROR(PutLogIntoFile(*db_));
  db_.reset();
  return absl::OkStatus();
}

uint64_t EpochOf(const std::string& path) {
  const auto db = Database::Open(path, Database::Mode::kReadOnly);
  if (!db.ok()) return 0;
  SeriesNames names;
  const auto epoch = SqliteTransaction(**db, names).GetEpoch();
  return epoch.ok() ? *epoch : 0;
}

void RemoveDatabase(const std::string& path) {
  std::error_code ignored;
  for (const char* ending : kEndings) fs::remove(path + ending, ignored);
}

void RemoveLog(const std::string& path) {
  std::error_code ignored;
  for (const char* ending : kLogEndings) fs::remove(path + ending, ignored);
}

}  // namespace sink::store
