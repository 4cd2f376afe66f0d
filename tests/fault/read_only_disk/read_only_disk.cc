// A disk that goes read-only under the programs that use it, as ext4 does after an error: a library for LD_PRELOAD.
// While the file $READ_ONLY_WHILE is there, every call that would change something under the folder $READ_ONLY_FOLDER
// fails with EROFS, also on what was open before; `mount -o remount,ro` refuses that as long as something is. What a
// program reads stays as it is. Any thread.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

bool IsReadOnly() {
  static const char* const flag = getenv("READ_ONLY_WHILE");
  const int before = errno;
  const bool there = flag != nullptr && access(flag, F_OK) == 0;
  errno = before;
  return there;
}

bool IsOnDisk(const char* path) {
  static const char* const folder = getenv("READ_ONLY_FOLDER");
  return folder != nullptr && path != nullptr && strncmp(path, folder, strlen(folder)) == 0;
}

bool IsOnDisk(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  path[n > 0 ? n : 0] = '\0';
  return IsOnDisk(path);
}

// A name below an open folder, or one of its own.
bool IsOnDiskAt(int folder, const char* path) {
  const bool relative = path != nullptr && path[0] != '/' && folder != AT_FDCWD;
  return relative ? IsOnDisk(folder) : IsOnDisk(path);
}

template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// Opening a file that is there for reading alone is no change.
bool Changes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0; }

}  // namespace

#define REFUSE_IF(condition)         \
  if (IsReadOnly() && (condition)) { \
    errno = EROFS;                   \
    return -1;                       \
  }
// A function of libc that changes something; `arguments` are what it is called with.
#define CHANGING(result, name, parameters, arguments, condition) \
  extern "C" result name parameters {                            \
    REFUSE_IF(condition)                                         \
    static auto* const real = Real<result parameters>(#name);    \
    return real arguments;                                       \
  }
#define OPENING(name, first_parameter, first_argument, is_on_disk)                       \
  extern "C" int name(first_parameter const char* path, int flags, ...) {                \
    va_list more;                                                                        \
    va_start(more, flags);                                                               \
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                                        \
    REFUSE_IF(Changes(flags) && is_on_disk)                                              \
    static auto* const real = Real<int(first_parameter const char*, int, ...)>(#name);   \
    return real(first_argument path, flags, mode);                                       \
  }
#define NOTHING
#define FOLDER_PARAMETER int folder,
#define FOLDER_ARGUMENT folder,

OPENING(open, NOTHING, NOTHING, IsOnDisk(path))
OPENING(open64, NOTHING, NOTHING, IsOnDisk(path))
OPENING(openat, FOLDER_PARAMETER, FOLDER_ARGUMENT, IsOnDiskAt(folder, path))
OPENING(openat64, FOLDER_PARAMETER, FOLDER_ARGUMENT, IsOnDiskAt(folder, path))

CHANGING(ssize_t, write, (int fd, const void* bytes, size_t count), (fd, bytes, count), IsOnDisk(fd))
CHANGING(ssize_t, pwrite, (int fd, const void* bytes, size_t count, off_t at), (fd, bytes, count, at), IsOnDisk(fd))
CHANGING(ssize_t, pwrite64, (int fd, const void* bytes, size_t count, off64_t at), (fd, bytes, count, at), IsOnDisk(fd))
CHANGING(ssize_t, writev, (int fd, const iovec* parts, int count), (fd, parts, count), IsOnDisk(fd))
CHANGING(int, ftruncate, (int fd, off_t size), (fd, size), IsOnDisk(fd))
CHANGING(int, ftruncate64, (int fd, off64_t size), (fd, size), IsOnDisk(fd))
CHANGING(int, truncate, (const char* path, off_t size), (path, size), IsOnDisk(path))
CHANGING(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size), IsOnDisk(fd))
CHANGING(int, mkdir, (const char* path, mode_t mode), (path, mode), IsOnDisk(path))
CHANGING(int, rmdir, (const char* path), (path), IsOnDisk(path))
CHANGING(int, unlink, (const char* path), (path), IsOnDisk(path))
CHANGING(int, unlinkat, (int folder, const char* path, int flags), (folder, path, flags), IsOnDiskAt(folder, path))
CHANGING(int, remove, (const char* path), (path), IsOnDisk(path))
CHANGING(int, rename, (const char* from, const char* to), (from, to), IsOnDisk(from) || IsOnDisk(to))
CHANGING(int, link, (const char* from, const char* to), (from, to), IsOnDisk(to))
CHANGING(int, symlink, (const char* from, const char* to), (from, to), IsOnDisk(to))
CHANGING(int, chmod, (const char* path, mode_t mode), (path, mode), IsOnDisk(path))
CHANGING(int, fchmod, (int fd, mode_t mode), (fd, mode), IsOnDisk(fd))
