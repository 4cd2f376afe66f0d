// See begun_salvage.h.
#include "coordinator/store/begun_salvage.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "proto/files/shell_word.h"

namespace sink::store {

std::string SalvageNote(const std::string& folder) { return absl::StrCat(folder, "/salvage-begun"); }

absl::Status RefuseBegunSalvage(const std::string& folder) {
  struct stat info = {};
  if (lstat(SalvageNote(folder).c_str(), &info) == 0) {
    return absl::FailedPreconditionError(absl::StrCat("a salvage of ", folder, ", or a restore into it, was ",
                                                      "interrupted, and its databases are not in their places: bring ",
                                                      "either to its end: sink-backup salvage --data ",
                                                      files::ShellWord(folder)));
  }
  if (errno == ENOENT) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("cannot look into ", folder, ": ", std::strerror(errno)));
}

}  // namespace sink::store
