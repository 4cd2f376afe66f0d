// See database_place.h.
#include "coordinator/store/database_place.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/files/shell_word.h"

namespace sink::store {
namespace {

bool IsSame(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

// Nothing is known of a file that cannot be looked at for another reason than that it is not there.
bool IsAt(const std::string& path, const struct stat& opened) {
  struct stat there {};
  return stat(path.c_str(), &there) == 0 ? IsSame(there, opened) : errno != ENOENT && errno != ENOTDIR;
}

// The number of a descriptor by which this process has the file open; empty: there is none.
std::string DescriptorOf(const struct stat& opened) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    struct stat there {};
    if (stat(entry.path().c_str(), &there) == 0 && IsSame(there, opened)) return entry.path().filename().string();
  }
  return "";
}

}  // namespace

DatabasePlace::DatabasePlace(const std::string& path) {
  for (const char* const suffix : {"", "-wal"}) {
    File file = {.path = path + suffix};
    if (stat(file.path.c_str(), &file.opened) == 0) files_.push_back(std::move(file));
  }
}

absl::Status DatabasePlace::Check() const {
  for (const File& file : files_) {
    if (!IsAt(file.path, file.opened)) {
      return absl::UnavailableError(absl::StrCat(
          "the coordinator's database is not at its place any more: ", file.path,
          " was removed, moved or replaced while it runs, so that nothing is taken and no job is given out, "
          "and what the coordinator knows is lost when it stops; ",
          WayOut()));
    }
  }
  return absl::OkStatus();
}

std::string DatabasePlace::WayOut() const {
  // SQLite removes what is named as the log when it closes the database, so the copies have other names.
  std::vector<std::string> copies;
  for (const File& file : files_) {
    const std::filesystem::path path(file.path);
    const std::string descriptor = DescriptorOf(file.opened);
    if (descriptor.empty()) continue;
    copies.push_back(
        absl::StrCat("cp /proc/", getpid(), "/fd/", descriptor, " ",
                     files::ShellWord((path.parent_path() / ("kept-" + path.filename().string())).string())));
  }
  return absl::StrCat("where it was moved, move it back with its -wal; else copy it while the coordinator still runs, ",
                      "as root of its machine: `", absl::StrJoin(copies, " && "),
                      "`, then stop the coordinator, put what has its names aside, give the copies its names, without "
                      "kept-, and start the coordinator again");
}

}  // namespace sink::store
