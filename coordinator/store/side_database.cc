#include "coordinator/store/side_database.h"

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/lost_commits.h"

namespace sink::store {
namespace {

constexpr char kMeta[] =
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID";

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> OpenSideDatabase(const std::string& path, int version, const char* schema) {
  SINK_ASSIGN_OR_RETURN(const bool log, PrepareDatabase(path));
  SINK_ASSIGN_OR_RETURN(std::unique_ptr<Database> db, Database::Open(path, Database::Mode::kReadWrite));
  if (log) SINK_RETURN_IF_ERROR(db->CheckpointLog());
  SINK_ASSIGN_OR_RETURN(const int64_t found, db->QueryInt("PRAGMA user_version"));
  if (found > version) {
    return absl::FailedPreconditionError(
        absl::StrCat("database ", path, " is of a newer sink-coordinator: use that one"));
  }
  SINK_RETURN_IF_ERROR(db->Execute(kMeta));  // first: a checkpoint writes the count before the pages behind it
  SINK_RETURN_IF_ERROR(db->Execute(schema));
  SINK_RETURN_IF_ERROR(db->Execute(absl::StrCat("PRAGMA user_version = ", version).c_str()));
  SINK_RETURN_IF_ERROR(db->CountCommits(path));
  return db;
}

}  // namespace sink::store
