// A library for LD_PRELOAD that writes down, in order, what a program does to a folder and the files below it: names
// that come, change and go, writes, and the syncs that put them on the disk. tests/fault/sync_test.py reads it.
//
//   SYNC_WATCH_ROOT   the folder, as an absolute path without links; without it nothing is written down
//   SYNC_WATCH_LOG    the file to append to, for every process alike: the kernel keeps the order of its lines
//
// A line is "PID TID EVENT INODE PATH [PATH]", with tabs between:
//   start                 a program (PATH) has begun
//   create, truncate      a file was opened to be written, and made or emptied by that
//   write                 bytes of a file (also ftruncate and truncate)
//   rename, link          from PATH to PATH; the inode is that of what has the name now
//   unlink, mkdir, rmdir  a name goes, a folder comes, a folder goes
//   sync-begin, sync      fsync or fdatasync of a file or folder is called; has succeeded. sync_file_range promises
//   nothing tell                  the first bytes that this thread sends, through a socket or a pipe, since it last
//   renamed
//
// An event is written down when it is done and before its caller goes on (tell and sync-begin: before they are done).
// So what happened before an event stands above it, and what only ran beside a sync counts as not covered by it. Any
// thread may be here, and so may the child of a fork before its exec: no lock, no allocation, no state but two paths
// that the start has read and a flag of the thread. What is not watched: writes through a mapping and through a FILE
// (its opening counts as a write), SQLite's files only by name (the reader's business).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX], log_path[PATH_MAX];
static size_t root_length;
static __thread int has_renamed;

static void Record(const char* event, ino_t inode, const char* path, const char* other) {
  const int error = errno;
  char line[2 * PATH_MAX + 128];
  const int length = snprintf(line, sizeof line, "%d\t%ld\t%s\t%lu\t%s%s%s\n", (int)getpid(), (long)syscall(SYS_gettid),
                              event, (unsigned long)inode, path, other ? "\t" : "", other ? other : "");
  // Opened anew for each line: a program that is being started closes every descriptor that it does not know.
  const long fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
  if (fd >= 0) {
    if (syscall(SYS_write, fd, line, (size_t)length) != length) abort();
    syscall(SYS_close, fd);
  }
  errno = error;
}

static int IsWatched(const char* path) {
  return root_length > 0 && strncmp(path, root, root_length) == 0 &&
         (path[root_length] == '/' || path[root_length] == '\0');
}

// Where a link of /proc points to; 0 when that is neither the root nor below it.
static int ReadProcLink(const char* link, char* path) {
  const ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length > 0 ? length : 0] = '\0';
  return IsWatched(path);
}

static int PathOf(int fd, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  return ReadProcLink(link, path);
}

// The absolute path of a name, as it is written; 0 when it is neither the root nor below it.
static int PathAt(int folder, const char* name, char* path) {
  if (root_length == 0) return 0;
  if (name[0] == '/') {
    snprintf(path, PATH_MAX, "%s", name);
    return IsWatched(path);
  }
  char beside[PATH_MAX];
  if (folder == AT_FDCWD)
    ReadProcLink("/proc/self/cwd", beside);
  else
    PathOf(folder, beside);
  const size_t length = strlen(beside);
  if (length + strlen(name) + 2 > PATH_MAX) return 0;
  memcpy(path, beside, length);
  path[length] = '/';
  strcpy(path + length + 1, name);
  return IsWatched(path);
}

static ino_t InodeAt(const char* path) {
  const int error = errno;
  struct stat info;
  const ino_t inode = lstat(path, &info) == 0 ? info.st_ino : 0;
  errno = error;
  return inode;
}

static ino_t InodeOf(int fd, mode_t* type) {
  const int error = errno;
  struct stat info;
  const int found = fstat(fd, &info) == 0;
  errno = error;
  *type = found ? info.st_mode & S_IFMT : 0;
  return found ? info.st_ino : 0;
}

static void RecordFd(const char* event, int fd) {
  const int error = errno;
  mode_t type;
  char path[PATH_MAX];
  const ino_t inode = InodeOf(fd, &type);
  if ((type == S_IFREG || type == S_IFDIR) && PathOf(fd, path)) Record(event, inode, path, NULL);
  errno = error;
}

// Before bytes go out that somebody may take for an answer.
static void Tell(int fd) {
  if (!has_renamed) return;
  mode_t type;
  InodeOf(fd, &type);
  if (type != S_IFSOCK && type != S_IFIFO) return;
  has_renamed = 0;
  Record("tell", 0, root, NULL);
}

__attribute__((constructor)) static void Begin(void) {
  const char *wanted = getenv("SYNC_WATCH_ROOT"), *log = getenv("SYNC_WATCH_LOG");
  if (wanted == NULL || log == NULL || strlen(wanted) >= PATH_MAX || strlen(log) >= PATH_MAX) return;
  strcpy(log_path, log);
  strcpy(root, wanted);
  root_length = strlen(root);
  char program[PATH_MAX];
  ReadProcLink("/proc/self/exe", program);
  Record("start", 0, program, NULL);
}

// Names.

static int OpenAt(int folder, const char* name, int flags, mode_t mode) {
  char path[PATH_MAX];
  const int writes = (flags & O_ACCMODE) != O_RDONLY && (flags & (O_CREAT | O_TRUNC)) != 0;
  const int watched = writes && PathAt(folder, name, path);
  const int is_new = watched && InodeAt(path) == 0;
  const int fd = (int)syscall(SYS_openat, folder, name, flags, mode);
  if (fd >= 0 && watched && (is_new || (flags & O_TRUNC))) RecordFd(is_new ? "create" : "truncate", fd);
  return fd;
}

static mode_t ModeOf(int flags, va_list arguments) {
  return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

#define DEFINE_OPEN(NAME)                         \
  int NAME(const char* name, int flags, ...) {    \
    va_list arguments;                            \
    va_start(arguments, flags);                   \
    const mode_t mode = ModeOf(flags, arguments); \
    va_end(arguments);                            \
    return OpenAt(AT_FDCWD, name, flags, mode);   \
  }
#define DEFINE_OPENAT(NAME)                                \
  int NAME(int folder, const char* name, int flags, ...) { \
    va_list arguments;                                     \
    va_start(arguments, flags);                            \
    const mode_t mode = ModeOf(flags, arguments);          \
    va_end(arguments);                                     \
    return OpenAt(folder, name, flags, mode);              \
  }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

static FILE* OpenStream(const char* symbol, const char* name, const char* mode) {
  FILE* (*const real)(const char*, const char*) = (FILE * (*)(const char*, const char*)) dlsym(RTLD_NEXT, symbol);
  char path[PATH_MAX];
  const int watched = strpbrk(mode, "wa+") != NULL && PathAt(AT_FDCWD, name, path);
  const int is_new = watched && InodeAt(path) == 0;
  FILE* file = real(name, mode);
  if (file != NULL && watched) RecordFd(is_new ? "create" : "truncate", fileno(file));
  return file;
}

FILE* fopen(const char* name, const char* mode) { return OpenStream("fopen", name, mode); }
FILE* fopen64(const char* name, const char* mode) { return OpenStream("fopen64", name, mode); }

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  const int done = (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
  char source[PATH_MAX], target[PATH_MAX];
  if (done == 0 && PathAt(from_folder, from, source) && PathAt(to_folder, to, target)) {
    Record("rename", InodeAt(target), source, target);
    has_renamed = 1;
  }
  return done;
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  return renameat2(from_folder, from, to_folder, to, 0);
}
int rename(const char* from, const char* to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) {
  const int done = (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
  char source[PATH_MAX], target[PATH_MAX];
  if (done == 0 && PathAt(from_folder, from, source) && PathAt(to_folder, to, target))
    Record("link", InodeAt(target), source, target);
  return done;
}
int link(const char* from, const char* to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char* name, int flags) {
  char path[PATH_MAX];
  const int watched = PathAt(folder, name, path);
  const ino_t inode = watched ? InodeAt(path) : 0;
  const int done = (int)syscall(SYS_unlinkat, folder, name, flags);
  if (done == 0 && watched) Record(flags & AT_REMOVEDIR ? "rmdir" : "unlink", inode, path, NULL);
  return done;
}
int unlink(const char* name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char* name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int remove(const char* name) { return unlink(name) == 0 ? 0 : errno == EISDIR || errno == EPERM ? rmdir(name) : -1; }

int mkdirat(int folder, const char* name, mode_t mode) {
  const int done = (int)syscall(SYS_mkdirat, folder, name, mode);
  char path[PATH_MAX];
  if (done == 0 && PathAt(folder, name, path)) Record("mkdir", InodeAt(path), path, NULL);
  return done;
}
int mkdir(const char* name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

// Bytes.

ssize_t write(int fd, const void* bytes, size_t size) {
  Tell(fd);
  const ssize_t done = syscall(SYS_write, fd, bytes, size);
  if (done > 0) RecordFd("write", fd);
  return done;
}
ssize_t writev(int fd, const struct iovec* pieces, int count) {
  Tell(fd);
  const ssize_t done = syscall(SYS_writev, fd, pieces, count);
  if (done > 0) RecordFd("write", fd);
  return done;
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  const ssize_t done = syscall(SYS_pwrite64, fd, bytes, size, offset);
  if (done > 0) RecordFd("write", fd);
  return done;
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) { return pwrite(fd, bytes, size, offset); }
ssize_t sendfile(int to, int from, off_t* offset, size_t size) {
  Tell(to);
  const ssize_t done = syscall(SYS_sendfile, to, from, offset, size);
  if (done > 0) RecordFd("write", to);
  return done;
}
ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size, unsigned flags) {
  const ssize_t done = syscall(SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
  if (done > 0) RecordFd("write", to);
  return done;
}
int ftruncate(int fd, off_t size) {
  const int done = (int)syscall(SYS_ftruncate, fd, size);
  if (done == 0) RecordFd("write", fd);
  return done;
}
int truncate(const char* name, off_t size) {
  const int done = (int)syscall(SYS_truncate, name, size);
  char path[PATH_MAX];
  if (done == 0 && PathAt(AT_FDCWD, name, path)) Record("write", InodeAt(path), path, NULL);
  return done;
}
ssize_t sendto(int fd, const void* bytes, size_t size, int flags, const struct sockaddr* to, socklen_t length) {
  Tell(fd);
  return syscall(SYS_sendto, fd, bytes, size, flags, to, length);
}
ssize_t send(int fd, const void* bytes, size_t size, int flags) { return sendto(fd, bytes, size, flags, NULL, 0); }
ssize_t sendmsg(int fd, const struct msghdr* message, int flags) {
  Tell(fd);
  return syscall(SYS_sendmsg, fd, message, flags);
}

// Syncs.

static int Sync(long number, int fd) {
  RecordFd("sync-begin", fd);
  const int done = (int)syscall(number, fd);
  if (done == 0) RecordFd("sync", fd);
  return done;
}
int fsync(int fd) { return Sync(SYS_fsync, fd); }
int fdatasync(int fd) { return Sync(SYS_fdatasync, fd); }
