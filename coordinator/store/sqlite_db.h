// One SQLite connection: opened with settings that are read back, statements prepared once, result codes as statuses.
// Owned by SqliteStore. Not thread-safe: one thread at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/commit_witness.h"

namespace sink::store {

class Database {
 public:
  // kUnchanging: a file that nobody writes to meanwhile. Nothing is created beside it, where kReadOnly needs a -wal and
  // a -shm, so it may lie where nobody can write; what is in a -wal that is there is not seen.
  enum class Mode { kReadWrite, kReadOnly, kUnchanging };

  // Creates the file in kReadWrite. FAILED_PRECONDITION when a setting does not hold after it was made, or when this
  // SQLite lacks what the schema needs.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path, Mode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs statements that bind nothing and return nothing: schema, BEGIN, COMMIT.
  absl::Status Execute(const char* sql);
  absl::StatusOr<int64_t> QueryInt(const char* sql);
  // Runs `body` in a transaction of its own, which is undone where it fails.
  absl::Status Write(absl::FunctionRef<absl::Status()> body);
  // The parts of Write: takes the lock for writing; makes durable what came since.
  absl::Status Begin();
  absl::Status Commit();
  // From now on each transaction that changes a row counts itself in the table meta (name TEXT PRIMARY KEY, value
  // INTEGER), and the witness beside the file at `path` is told (commit_witness.h): of the first that this connection
  // commits, as one that a crash interrupted may be there without having been synced. Of the connection that writes.
  absl::Status CountCommits(const std::string& path);
  // What meta says of that, with the log that is beside the file. An error where there is no meta.
  absl::StatusOr<CommitCount> ReadCommitCount();
  // Of a copy that is to be a database of its own: the next CountCommits draws its number anew.
  absl::Status ForgetCommitCount();
  // SQLite undoes the whole transaction by itself after some errors (a full disk is one).
  bool InTransaction() const { return sqlite3_get_autocommit(db_) == 0; }

  // RESOURCE_EXHAUSTED full; DATA_LOSS I/O error, files that can no longer be opened or written, or damage;
  // ALREADY_EXISTS unique; FAILED_PRECONDITION other constraints and triggers; INTERNAL the rest.
  absl::Status ToStatus(int code) const;
  // A passive checkpoint: puts what the log holds into the file, as far as it can, not while others read from the log
  // or where the disk is full. When all is there the next commit begins the log anew, and the witness will say so.
  absl::Status CheckpointLog();
  // The statement, prepared at first use. `sql` must outlive the database: its address is the key.
  absl::StatusOr<sqlite3_stmt*> Prepared(const char* sql);
  sqlite3* handle() { return db_; }

 private:
  explicit Database(sqlite3* db) : db_(db) {}
  absl::Status Configure(Mode mode);
  absl::Status PutMeta(const char* name, int64_t value);
  std::string Path() const;  // of its file

  sqlite3* const db_;
  absl::flat_hash_map<const char*, sqlite3_stmt*> statements_;
  std::unique_ptr<CommitWitness> witness_;  // none: commits are not counted
  Witness counted_;
  int log_pages_ = 0;           // after the last commit
  int64_t changes_before_ = 0;  // when the transaction began, as sqlite3_total_changes64 says it
};

// Binds as a BLOB; text binds as TEXT.
struct Blob {
  std::string_view bytes;
};

// One run of a prepared statement: binds ?1, ?2, ... from the arguments, steps, and resets it at the end of its scope.
//   Query query(db, kSql, id);
//   while (query.Next()) use(query.Int(0));
//   return query.status();
// Texts and blobs must outlive the query, but for a std::string that is nobody's: of that it keeps a copy. One query of
// a statement at a time.
class Query {
 public:
  template <typename... Args>
  Query(Database& db, const char* sql, Args&&... args) : db_(db) {
    absl::StatusOr<sqlite3_stmt*> statement = db.Prepared(sql);
    if (!statement.ok()) {
      status_ = statement.status();
      return;
    }
    statement_ = *statement;
    (Bind(std::forward<Args>(args)), ...);
  }
  ~Query() {
    if (statement_ == nullptr) return;
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // Binds one more, after those that are bound.
  template <typename Arg>
  void Bind(Arg&& value) {
    using T = std::remove_cvref_t<Arg>;
    if (statement_ == nullptr) return;
    const int index = ++bound_;
    if constexpr (std::is_floating_point_v<T>) {
      Check(sqlite3_bind_double(statement_, index, value));
    } else if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
      Check(sqlite3_bind_int64(statement_, index, static_cast<int64_t>(value)));
    } else if constexpr (std::is_same_v<T, Blob>) {
      Check(sqlite3_bind_blob64(statement_, index, value.bytes.data(), value.bytes.size(), SQLITE_STATIC));
    } else {
      BindText(index, value, std::is_same_v<T, std::string> && !std::is_lvalue_reference_v<Arg>);
    }
  }

  // False at the end and after an error.
  bool Next();
  // Runs a statement that returns no row.
  absl::Status Run() {
    Next();
    return status_;
  }
  const absl::Status& status() const { return status_; }

  int64_t Int(int column) { return sqlite3_column_int64(statement_, column); }
  double Real(int column);  // NULL is NaN, which SQLite cannot store
  std::string Text(int column);
  void Text(int column, std::string* text);  // into a string that is there
  std::string_view Bytes(int column);        // until the next step

 private:
  void BindText(int index, std::string_view text, bool copied);
  void Check(int code) {
    if (code != SQLITE_OK && status_.ok()) status_ = db_.ToStatus(code);
  }

  Database& db_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;  // arguments so far
  absl::Status status_;
};

}  // namespace sink::store
