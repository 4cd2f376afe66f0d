// See set_aside.h.
#include "coordinator/backup/set_aside.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "proto/files/files.h"

namespace sink::backup {
namespace {

// The witness last: while it is there, nobody takes what is left for a database that has all.
constexpr const char* kDatabaseEndings[] = {"-wal", "-shm", "", "-commits"};

// A link that leads nowhere is there, too.
bool IsNameTaken(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

// By the database, or by what SQLite keeps beside one.
bool IsAnyNameTaken(const std::string& path) {
  return std::any_of(std::begin(kDatabaseEndings), std::end(kDatabaseEndings),
                     [&path](const char* ending) { return IsNameTaken(path + ending); });
}

}  // namespace

std::string NameAside(const std::string& path) {
  std::string name = path + ".replaced";
  for (int number = 2; IsAnyNameTaken(name); ++number) name = absl::StrCat(path, ".replaced-", number);
  return name;
}

absl::Status MoveDatabase(const std::string& from, const std::string& to) {
  for (const char* ending : kDatabaseEndings) {
    if (IsNameTaken(from + ending)) SINK_RETURN_IF_ERROR(ToStatus(files::RenameDurably(from + ending, to + ending)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SetAside(const std::string& path) {
  if (!IsAnyNameTaken(path)) return "";
  std::string name = NameAside(path);
  SINK_RETURN_IF_ERROR(MoveDatabase(path, name));
  return name;
}

}  // namespace sink::backup
