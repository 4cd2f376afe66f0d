// See set_aside.h.
#include "coordinator/backup/set_aside.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "coordinator/backup/data_folder.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "proto/files/files.h"

namespace sink::backup {
namespace {

// The witness last: while it is there, nobody takes what is left for a database that has all.
constexpr const char* kDatabaseEndings[] = {"-wal", "-shm", "", "-commits"};

}  // namespace

bool IsDatabaseThere(const std::string& path) {
  return std::any_of(std::begin(kDatabaseEndings), std::end(kDatabaseEndings),
                     [&path](const char* ending) { return IsThere(path + ending); });
}

std::string NameAside(const std::string& path) {
  std::string name = path + ".replaced";
  for (int number = 2; IsDatabaseThere(name); ++number) name = absl::StrCat(path, ".replaced-", number);
  return name;
}

absl::Status MoveDatabase(const std::string& from, const std::string& to) {
  for (const char* ending : kDatabaseEndings) {
    if (IsThere(from + ending)) SINK_RETURN_IF_ERROR(ToStatus(files::RenameDurably(from + ending, to + ending)));
  }
  return absl::OkStatus();
}

}  // namespace sink::backup
