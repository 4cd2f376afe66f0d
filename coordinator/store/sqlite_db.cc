// Connection settings and result codes. The settings follow SQLite's own advice for a database that must not lose an
// acknowledged commit: WAL with synchronous=FULL, no memory map, nothing in the file trusted.
#include "coordinator/store/sqlite_db.h"

#include <filesystem>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace sink::store {
namespace {

constexpr int kBusyTimeoutMs = 5000;
constexpr int kCheckpointPages = 1000;  // of the log, and SQLite's own choice

struct Pragma {
  const char* set;
  const char* get;
  int64_t value;
};
constexpr Pragma kPragmas[] = {
    {"PRAGMA foreign_keys = ON", "PRAGMA foreign_keys", 1},
    {"PRAGMA trusted_schema = OFF", "PRAGMA trusted_schema", 0},
    {"PRAGMA cell_size_check = ON", "PRAGMA cell_size_check", 1},
    {"PRAGMA mmap_size = 0", "PRAGMA mmap_size", 0},
    {"PRAGMA temp_store = MEMORY", "PRAGMA temp_store", 2},
};
constexpr Pragma kWriterPragmas[] = {
    {"PRAGMA synchronous = FULL", "PRAGMA synchronous", 2},
    {"PRAGMA wal_autocheckpoint = 1000", "PRAGMA wal_autocheckpoint", kCheckpointPages},
    {"PRAGMA journal_size_limit = 67108864", "PRAGMA journal_size_limit", 67108864},
    {"PRAGMA cache_size = -49152", "PRAGMA cache_size", -49152},
};
// A reader that misses a page finds it in the operating system's cache.
constexpr Pragma kReaderPragmas[] = {{"PRAGMA query_only = ON", "PRAGMA query_only", 1},
                                     {"PRAGMA cache_size = -8192", "PRAGMA cache_size", -8192}};

// https://www.sqlite.org/uri.html
std::string UnchangingUri(const std::string& path) {
  std::error_code ignored;
  const std::string absolute = std::filesystem::absolute(path, ignored).string();
  return absl::StrCat("file://", absl::StrReplaceAll(absolute, {{"%", "%25"}, {"?", "%3f"}, {"#", "%23"}}),
                      "?immutable=1");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, Mode mode) {
  sqlite3* handle = nullptr;
  const bool unchanging = mode == Mode::kUnchanging;
  const int flags = unchanging                ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
                    : mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY
                                              : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const std::string name = unchanging ? UnchangingUri(path) : path;
  const int code = sqlite3_open_v2(name.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  if (handle == nullptr) return absl::ResourceExhaustedError(absl::StrCat("out of memory opening database ", path));
  std::unique_ptr<Database> db(new Database(handle));
  if (code != SQLITE_OK) {
    return absl::FailedPreconditionError(absl::StrCat("cannot open database ", path, ": ", sqlite3_errmsg(handle)));
  }
  if (absl::Status status = db->Configure(mode); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat("database ", path, ": ", status.message()));
  }
  return db;
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

absl::Status Database::Configure(Mode mode) {
  sqlite3_extended_result_codes(db_, 1);
  sqlite3_busy_timeout(db_, kBusyTimeoutMs);
  int defensive = 0;
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, &defensive);
  if (defensive != 1) return absl::FailedPreconditionError("SQLite has no defensive mode");

  auto apply = [this](const Pragma& pragma) -> absl::Status {
    if (absl::Status status = Execute(pragma.set); !status.ok()) return status;
    absl::StatusOr<int64_t> value = QueryInt(pragma.get);
    if (!value.ok()) return value.status();
    if (*value == pragma.value) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(pragma.set, " did not take effect"));
  };
  if (mode == Mode::kReadWrite) {
    if (absl::Status status = Execute("PRAGMA journal_mode = WAL"); !status.ok()) return status;
    for (const Pragma& pragma : kWriterPragmas) {
      if (absl::Status status = apply(pragma); !status.ok()) return status;
    }
  } else {
    for (const Pragma& pragma : kReaderPragmas) {
      if (absl::Status status = apply(pragma); !status.ok()) return status;
    }
  }
  for (const Pragma& pragma : kPragmas) {
    if (absl::Status status = apply(pragma); !status.ok()) return status;
  }
  if (mode == Mode::kUnchanging) return absl::OkStatus();  // no log is looked for
  Query journal(*this, "PRAGMA journal_mode");
  if (!journal.Next() || journal.Text(0) != "wal") {
    return absl::FailedPreconditionError("its file system does not support SQLite's write-ahead log (WAL)");
  }
  return absl::OkStatus();
}

absl::Status Database::Execute(const char* sql) { return ToStatus(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr)); }

absl::StatusOr<int64_t> Database::QueryInt(const char* sql) {
  Query query(*this, sql);
  if (query.Next()) return query.Int(0);
  return query.status().ok() ? absl::InternalError(absl::StrCat("no answer to ", sql)) : query.status();
}

absl::Status Database::Write(absl::FunctionRef<absl::Status()> body) {
  absl::Status status = Begin();
  if (!status.ok()) return status;
  status = body();
  if (status.ok()) status = Commit();
  if (InTransaction()) Query(*this, "ROLLBACK").Run().IgnoreError();
  return status;
}

absl::Status Database::Begin() {
  changes_before_ = sqlite3_total_changes64(db_);
  return Query(*this, "BEGIN IMMEDIATE").Run();
}

absl::Status Database::Commit() {
  CommitCount count = counted_.count;
  // One that changes nothing writes nothing and waits for no disk.
  const bool counts = witness_ != nullptr && sqlite3_total_changes64(db_) != changes_before_;
  if (counts) {
    ++count.commits;
    if (absl::Status status = PutMeta("commits", count.commits); !status.ok()) return status;
  }
  if (absl::Status status = Query(*this, "COMMIT").Run(); !status.ok() || !counts) return status;
  counted_.count = count;
  if (log_pages_ >= kCheckpointPages)
    CheckpointLog().IgnoreError();  // it is durable all the same, as with SQLite's own
  witness_->Write(counted_);
  return absl::OkStatus();
}

absl::Status Database::CountCommits(const std::string& path) {
  absl::StatusOr<CommitCount> count = ReadCommitCount();
  if (!count.ok()) return count.status();
  if (count->database == 0) {
    sqlite3_randomness(sizeof count->database, &count->database);
    count->database = (count->database & std::numeric_limits<int64_t>::max()) | 1;
    if (absl::Status status = Write([&] { return PutMeta("database", count->database); }); !status.ok()) return status;
  }
  counted_ = {.count = *count};
  // In place of SQLite's own checkpoints, which do not say how far they came.
  const auto tell_pages = [](void* database, sqlite3*, const char*, int pages) {
    static_cast<Database*>(database)->log_pages_ = pages;
    return SQLITE_OK;
  };
  sqlite3_wal_hook(db_, tell_pages, this);
  if (absl::Status status = CheckpointLog(); !status.ok()) return status;
  witness_ = std::make_unique<CommitWitness>(path);
  return absl::OkStatus();
}

absl::Status Database::CheckpointLog() {
  int in_log = 0, in_file = 0;
  const int code = sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &in_file);
  if (code == SQLITE_OK && in_log == in_file) counted_.in_file = counted_.count.commits;
  const int kind = code & 0xff;
  return kind == SQLITE_BUSY || kind == SQLITE_FULL ? absl::OkStatus() : ToStatus(code);
}

absl::Status Database::PutMeta(const char* name, int64_t value) {
  return Query(*this,
               "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
               name, value)
      .Run();
}

absl::StatusOr<CommitCount> Database::ReadCommitCount() {
  CommitCount count;
  Query rows(*this, "SELECT name, value FROM meta WHERE name IN ('database', 'commits')");
  while (rows.Next()) (rows.Bytes(0) == "database" ? count.database : count.commits) = rows.Int(1);
  if (!rows.status().ok()) return rows.status();
  return count;
}

absl::Status Database::ForgetCommitCount() {
  return Query(*this, "DELETE FROM meta WHERE name IN ('database', 'commits')").Run();
}

absl::Status Database::ToStatus(int code) const {
  const char* const message = sqlite3_errmsg(db_);
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return absl::OkStatus();
    case SQLITE_FULL:
      return absl::ResourceExhaustedError("disk full: nothing was stored; free space and try again");
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:  // of what lies beside it, mostly; Open tells of the file itself
    case SQLITE_READONLY:
      return absl::DataLossError(absl::StrCat(
          "database failed: ", message, " (", code, ") at ", Path(),
          ": its disk is full, read-only, away or broken; see what the kernel says (dmesg), put it right and start the "
          "coordinator again: what was acknowledged is in that file and in the -wal beside it"));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(absl::StrCat(
          "database failed: ", message, " (", code, ") at ", Path(),
          ": the file is damaged; keep a copy of it and of the -wal beside it, and put a backup in its place "
          "(sink-backup restore --from BACKUP --data DIR --replace), or rescue what is readable: sqlite3 FILE "
          ".recover"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(absl::StrCat("database is busy: ", message));
    case SQLITE_CONSTRAINT:
      if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY) {
        return absl::AlreadyExistsError(message);
      }
      return absl::FailedPreconditionError(message);
    default:
      return absl::InternalError(absl::StrCat("database: ", message, " (", code, ")"));
  }
}

std::string Database::Path() const {
  const char* const path = sqlite3_db_filename(db_, "main");
  return path == nullptr ? "" : path;
}

absl::StatusOr<sqlite3_stmt*> Database::Prepared(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr) {
    const int code = sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return ToStatus(code);
  }
  return statement;
}

bool Query::Next() {
  if (!status_.ok()) return false;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) status_ = db_.ToStatus(code);
  return false;
}

double Query::Real(int column) {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::numeric_limits<double>::quiet_NaN();
  return sqlite3_column_double(statement_, column);
}

std::string_view Query::Bytes(int column) {
  const int size = sqlite3_column_bytes(statement_, column);
  if (size == 0) return {};
  return {static_cast<const char*>(sqlite3_column_blob(statement_, column)), static_cast<size_t>(size)};
}

std::string Query::Text(int column) { return std::string(Bytes(column)); }

void Query::Text(int column, std::string* text) {
  const std::string_view bytes = Bytes(column);
  text->assign(bytes.data(), bytes.size());
}

void Query::BindText(int index, std::string_view text, bool copied) {
  // A null pointer would bind NULL.
  Check(sqlite3_bind_text64(statement_, index, text.data() == nullptr ? "" : text.data(), text.size(),
                            copied ? SQLITE_TRANSIENT : SQLITE_STATIC, SQLITE_UTF8));
}

}  // namespace sink::store
