// See files.h.
#include "coordinator/service/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace sink {
namespace {

constexpr size_t kHashBlock = 1 << 20;

absl::Status Failed(absl::string_view what, const std::string& path) {
  const int error = errno;
  if (error == ENOSPC || error == EDQUOT) {
    return absl::ResourceExhaustedError(absl::StrCat("disk full: cannot ", what, " ", path));
  }
  return absl::ErrnoToStatus(error, absl::StrCat("cannot ", what, " ", path));
}

std::string Hex(XXH128_hash_t hash) { return absl::StrFormat("%016x%016x", hash.high64, hash.low64); }

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Fd& Fd::operator=(Fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

absl::StatusOr<Fd> OpenToRead(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.get() < 0) return Failed("open", path);
  return fd;
}

absl::StatusOr<Fd> OpenToWrite(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (fd.get() < 0) return Failed("create", path);
  return fd;
}

absl::StatusOr<uint64_t> SizeOf(const Fd& fd, const std::string& path) {
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return Failed("examine", path);
  if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, " is not a regular file"));
  return static_cast<uint64_t>(info.st_size);
}

absl::Status ReadAt(const Fd& fd, const std::string& path, uint64_t offset, size_t size, std::string* data) {
  data->resize(size);
  size_t filled = 0;
  while (filled < size) {
    const ssize_t n = pread(fd.get(), data->data() + filled, size - filled, static_cast<off_t>(offset + filled));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("read", path);
    if (n == 0) break;
    filled += static_cast<size_t>(n);
  }
  data->resize(filled);
  return absl::OkStatus();
}

absl::Status WriteAt(const Fd& fd, const std::string& path, uint64_t offset, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = pwrite(fd.get(), data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("write", path);
    data.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return absl::OkStatus();
}

absl::Status Sync(const Fd& fd, const std::string& path) {
  return fsync(fd.get()) == 0 ? absl::OkStatus() : Failed("sync", path);
}

absl::Status SyncFolder(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return Failed("open", path);
  return Sync(fd, path);
}

absl::Status MakeFolders(const std::string& path) {
  if (Exists(path)) return absl::OkStatus();
  const std::string parent = std::filesystem::path(path).parent_path();
  if (!parent.empty() && parent != path) {
    if (absl::Status status = MakeFolders(parent); !status.ok()) return status;
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Failed("create", path);
  return SyncFolder(parent.empty() ? "." : parent);
}

absl::Status Rename(const std::string& from, const std::string& to) {
  return rename(from.c_str(), to.c_str()) == 0 ? absl::OkStatus() : Failed("rename to", to);
}

bool Exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes) {
  auto fd = OpenToRead(path);
  if (!fd.ok()) return fd.status();
  std::string content;
  if (absl::Status status = ReadAt(*fd, path, 0, max_bytes + 1, &content); !status.ok()) return status;
  if (content.size() > max_bytes) return absl::OutOfRangeError(absl::StrCat(path, " is too large"));
  return content;
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  unlink(temporary.c_str());
  {
    auto fd = OpenToWrite(temporary);
    if (!fd.ok()) return fd.status();
    if (absl::Status status = WriteAt(*fd, temporary, 0, content); !status.ok()) return status;
    if (absl::Status status = Sync(*fd, temporary); !status.ok()) return status;
  }
  if (absl::Status status = Rename(temporary, path); !status.ok()) return status;
  const std::string parent = std::filesystem::path(path).parent_path();
  return SyncFolder(parent.empty() ? "." : parent);
}

std::string HashText(std::string_view text) { return Hex(XXH3_128bits(text.data(), text.size())); }

absl::StatusOr<std::string> HashFile(const Fd& fd, const std::string& path) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::string block;
  uint64_t offset = 0;
  do {
    if (absl::Status status = ReadAt(fd, path, offset, kHashBlock, &block); !status.ok()) return status;
    XXH3_128bits_update(state.get(), block.data(), block.size());
    offset += block.size();
  } while (block.size() == kHashBlock);
  return Hex(XXH3_128bits_digest(state.get()));
}

}  // namespace sink
