// An open file and what is done with it. Errors name the path that is passed along; a call that a signal interrupts is
// made again. An Fd belongs to one thread at a time; the functions are stateless.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/files/file_error.h"

namespace sink::files {

// An owned descriptor of any kind; -1 is none.
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

// open(2), closed on exec. `mode`: of a file that O_CREAT makes, less the umask.
FileResult<Fd> Open(const std::string& path, int flags, mode_t mode = 0666);

// All bytes or an error.
FileError WriteAll(const Fd& fd, const std::string& path, std::string_view bytes);
FileError WriteAt(const Fd& fd, const std::string& path, uint64_t offset, std::string_view bytes);
// Fills `bytes` up to `size`; shorter only at the end of the file.
FileError ReadAt(const Fd& fd, const std::string& path, uint64_t offset, size_t size, std::string* bytes);
// Up to `size` bytes of what is left, into `bytes`; 0 only at the end (of a pipe: when its writers have closed it).
FileResult<size_t> ReadSome(const Fd& fd, const std::string& path, char* bytes, size_t size);
// What is left of the file; EFBIG when that is more than max_bytes.
FileResult<std::string> ReadRest(const Fd& fd, const std::string& path, size_t max_bytes);

// In bytes. EINVAL for anything but a regular file.
FileResult<uint64_t> SizeOf(const Fd& fd, const std::string& path);
FileError Sync(const Fd& fd, const std::string& path);

// Takes the file's lock for as long as it is open anywhere; false when somebody else has it.
FileResult<bool> TryLock(const Fd& fd, const std::string& path);

}  // namespace sink::files
