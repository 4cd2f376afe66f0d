// The tables, and how an older file becomes a newer one. Used by SqliteStore at start, on its writing connection.
#pragma once

#include "absl/status/status.h"
#include "coordinator/store/sqlite_db.h"

namespace sink::store {

// Kept in the file as PRAGMA user_version.
inline constexpr int kSchemaVersion = 17;

// Brings the file to kSchemaVersion in one transaction; 0 is an empty file. FAILED_PRECONDITION for a newer one.
absl::Status Migrate(Database& db);

}  // namespace sink::store
