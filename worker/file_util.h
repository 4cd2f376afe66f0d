// Small file helpers of the worker: owned descriptors, whole-file reads, writes that survive a power cut. No state; any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sink::worker {

// An owned file descriptor; -1 is none.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release();
  void Close();

 private:
  int fd_ = -1;
};

// "open /x/y: No space left on device", with the code that fits errno: NotFound, ResourceExhausted (disk full),
// PermissionDenied, else Internal.
absl::Status ErrnoStatus(const std::string& what, int error);

// Makes the folder and its parents; an existing one is fine.
absl::Status MakeFolders(const std::string& path);

// The whole file. NotFound; OutOfRange when it is larger than `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

// Replaces the file in one step (temporary, fsync, rename, fsync of the folder): after a crash the old or the new
// contents are there, never a part.
absl::Status WriteFileDurably(const std::string& path, std::string_view contents);

// All bytes or an error.
absl::Status WriteAll(int fd, std::string_view bytes);

absl::Status SyncFolder(const std::string& path);

// A copy that is valid UTF-8 (bad bytes become U+FFFD), as protobuf strings and JSON demand.
std::string ValidUtf8(std::string_view text);

}  // namespace sink::worker
