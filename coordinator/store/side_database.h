// The databases that lie beside the one of the jobs: a few tables, whose schema has one version. Owned by their stores;
// any thread opens one.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/store/sqlite_db.h"

namespace sink::store {

// Opens `path` for writing, creating it, and lays `schema` over it, whose statements change nothing that is there.
// Errors: as PrepareDatabase, Database::Open and Execute; FAILED_PRECONDITION for a file of a later version.
// Nobody else writes to it.
absl::StatusOr<std::unique_ptr<Database>> OpenSideDatabase(const std::string& path, int version, const char* schema);

}  // namespace sink::store
