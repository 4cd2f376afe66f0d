// The few file system calls that the coordinator's files need, with statuses that name the path. A full disk is always
// RESOURCE_EXHAUSTED "disk full: ...". No call follows a symbolic link in the last component. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sink {

// A descriptor, closed with the object.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd();
  Fd(Fd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Fd& operator=(Fd&& other) noexcept;

  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

absl::StatusOr<Fd> OpenToRead(const std::string& path);
absl::StatusOr<Fd> OpenToWrite(const std::string& path);  // creates; keeps what is there
absl::StatusOr<uint64_t> SizeOf(const Fd& fd, const std::string& path);
// Fills `data` up to `size` bytes; shorter only at the end of the file.
absl::Status ReadAt(const Fd& fd, const std::string& path, uint64_t offset, size_t size, std::string* data);
absl::Status WriteAt(const Fd& fd, const std::string& path, uint64_t offset, std::string_view data);
absl::Status Sync(const Fd& fd, const std::string& path);
absl::Status SyncFolder(const std::string& path);
absl::Status MakeFolders(const std::string& path);  // mode 0700 for those it makes
absl::Status Rename(const std::string& from, const std::string& to);
bool Exists(const std::string& path);

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes);
// The whole file or none of it, also after a crash: temporary file, sync, rename, sync of the folder.
absl::Status WriteFileAtomically(const std::string& path, std::string_view content);

// XXH3-128 as 32 hex digits.
std::string HashText(std::string_view text);
absl::StatusOr<std::string> HashFile(const Fd& fd, const std::string& path);

}  // namespace sink
