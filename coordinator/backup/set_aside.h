// Databases that make room for others: they are kept beside. Of files that nobody has open. Stateless; any thread.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace sink::backup {

// Whether anything has the name: a database, or what SQLite keeps beside one.
bool IsDatabaseThere(const std::string& path);

// The first of "<path>.replaced", "<path>.replaced-2", ... that nothing has, so that what was set aside before stays.
std::string NameAside(const std::string& path);

// Moves a database with what SQLite keeps beside it, be there nothing but its log, file by file and each durably. What
// has moved already stays, so that one that was interrupted is made again.
absl::Status MoveDatabase(const std::string& from, const std::string& to);

}  // namespace sink::backup
