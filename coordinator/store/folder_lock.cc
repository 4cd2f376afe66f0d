// See folder_lock.h.
#include "coordinator/store/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace sink::store {

absl::StatusOr<int> LockFolder(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/lock");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return absl::FailedPreconditionError(absl::StrCat("cannot open ", path, ": ", std::strerror(errno)));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    char owner[32] = {};
    const ssize_t size = pread(fd, owner, sizeof(owner) - 1, 0);
    close(fd);
    return absl::FailedPreconditionError(absl::StrCat("another coordinator (process ", size > 0 ? owner : "unknown",
                                                      "), or a sink-backup, uses ", folder,
                                                      ": stop it, or choose another folder"));
  }
  const std::string pid = absl::StrCat(getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    // Only the message of a second coordinator is poorer.
  }
  return fd;
}

}  // namespace sink::store
