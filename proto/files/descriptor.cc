#include "proto/files/descriptor.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace sink::files {

FileError SystemError(int code, const std::string& doing, const std::string& path) {
  return {code, "cannot " + doing + " " + path + ": " + std::generic_category().message(code)};
}

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = other.Release();
  }
  return *this;
}

int Fd::Release() { return std::exchange(fd_, -1); }

void Fd::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

FileResult<Fd> Open(const std::string& path, int flags, mode_t mode) {
  for (;;) {
    Fd fd(open(path.c_str(), flags | O_CLOEXEC, mode));
    if (fd.valid()) return fd;
    if (errno != EINTR) return SystemError(errno, (flags & O_CREAT) != 0 ? "create" : "open", path);
  }
}

FileError WriteAll(const Fd& fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return SystemError(errno, "write", path);
    if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

FileError WriteAt(const Fd& fd, const std::string& path, uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno != EINTR) return SystemError(errno, "write", path);
    if (n <= 0) continue;
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

FileError ReadAt(const Fd& fd, const std::string& path, uint64_t offset, size_t size, std::string* bytes) {
  bytes->resize(size);
  size_t filled = 0;
  while (filled < size) {
    const ssize_t n = pread(fd.get(), bytes->data() + filled, size - filled, static_cast<off_t>(offset + filled));
    if (n == 0) break;
    if (n > 0) filled += static_cast<size_t>(n);
    if (n < 0 && errno != EINTR) return SystemError(errno, "read", path);
  }
  bytes->resize(filled);
  return {};
}

FileResult<size_t> ReadSome(const Fd& fd, const std::string& path, char* bytes, size_t size) {
  for (;;) {
    const ssize_t n = read(fd.get(), bytes, size);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return SystemError(errno, "read", path);
  }
}

FileResult<std::string> ReadRest(const Fd& fd, const std::string& path, size_t max_bytes) {
  constexpr size_t kFirstBytes = 64 << 10;
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) return SystemError(errno, "examine", path);
  // One byte more than the size shows the end; what has no size (pipes, /proc) grows the buffer.
  const size_t expected = info.st_size > 0 ? static_cast<size_t>(info.st_size) : kFirstBytes;
  std::string bytes(std::min(expected, max_bytes) + 1, '\0');
  size_t filled = 0;
  for (;;) {
    if (filled > max_bytes) {
      return FileError(EFBIG, "cannot read " + path + ": it is larger than " + std::to_string(max_bytes) + " bytes");
    }
    if (filled == bytes.size()) bytes.resize(std::min(2 * bytes.size(), max_bytes + 1));
    const FileResult<size_t> n = ReadSome(fd, path, bytes.data() + filled, bytes.size() - filled);
    if (!n.ok()) return n.error();
    if (*n == 0) break;
    filled += *n;
  }
  bytes.resize(filled);
  return bytes;
}

FileResult<uint64_t> SizeOf(const Fd& fd, const std::string& path) {
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) return SystemError(errno, "examine", path);
  if (!S_ISREG(info.st_mode)) return FileError(EINVAL, path + " is not a regular file");
  return static_cast<uint64_t>(info.st_size);
}

FileError Sync(const Fd& fd, const std::string& path) {
  return fsync(fd.get()) == 0 ? FileError() : SystemError(errno, "sync", path);
}

FileResult<bool> TryLock(const Fd& fd, const std::string& path) {
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) return SystemError(errno, "lock", path);
  }
  return true;
}

}  // namespace sink::files
