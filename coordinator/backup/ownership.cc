// See ownership.h. From descriptor to descriptor, so that a link that somebody puts in the way leads nowhere.
#include "coordinator/backup/ownership.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "proto/files/descriptor.h"

namespace sink::backup {
namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY;
constexpr uid_t kRoot = 0;

struct CloseFolder {
  void operator()(DIR* dir) const { closedir(dir); }
};

// `path` is for messages.
absl::Status GiveAll(files::Fd folder, const std::string& path, const struct stat& owner) {
  const std::unique_ptr<DIR, CloseFolder> dir(fdopendir(folder.get()));
  if (dir == nullptr) return SystemStatus(errno, "list", path);
  const int here = folder.Release();  // the list's own now
  for (;;) {
    errno = 0;
    const dirent* const entry = readdir(dir.get());
    if (entry == nullptr) return errno == 0 ? absl::OkStatus() : SystemStatus(errno, "list", path);
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string place = absl::StrCat(path, "/", name);
    struct stat info = {};
    if (fstatat(here, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return SystemStatus(errno, "look at", place);
    if (S_ISDIR(info.st_mode)) {
      files::Fd inner(openat(here, name.c_str(), kFolder | O_NOFOLLOW | O_CLOEXEC));
      if (!inner.valid()) return SystemStatus(errno, "open", place);
      SINK_RETURN_IF_ERROR(GiveAll(std::move(inner), place, owner));
    }
    if (info.st_uid != kRoot) continue;
    if (fchownat(here, name.c_str(), owner.st_uid, owner.st_gid, AT_SYMLINK_NOFOLLOW) != 0) {
      return SystemStatus(errno, "give away", place);
    }
  }
}

}  // namespace

absl::Status GiveToOwner(const std::string& folder) {
  if (geteuid() != kRoot) return absl::OkStatus();
  auto opened = files::Open(folder, kFolder);
  if (!opened.ok()) return ToStatus(opened.error());
  struct stat owner = {};
  if (fstat(opened->get(), &owner) != 0) return SystemStatus(errno, "look at", folder);
  return owner.st_uid == kRoot ? absl::OkStatus() : GiveAll(*std::move(opened), folder, owner);
}

}  // namespace sink::backup
