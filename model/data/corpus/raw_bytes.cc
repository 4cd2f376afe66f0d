// See raw_bytes.h.
#include "model/data/corpus/raw_bytes.h"

#include <fcntl.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "model/base/data_error.h"

namespace sink::data {
namespace {

constexpr size_t kBufferBytes = 1 << 18;

files::FileResult<files::Fd> OpenForReading(const std::string& path) {
  if (path != "-" && path != "/dev/stdin") return files::Open(path, O_RDONLY);
  // Opening /dev/stdin would begin a file anew, and fails for a socket.
  files::Fd fd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return files::SystemError(errno, "open", path);
  return fd;
}

std::string Reason(const files::FileError& error) { return std::generic_category().message(error.code()); }

}  // namespace

RawBytes::RawBytes(const std::filesystem::path& path) : name_(path.string()), buffer_(kBufferBytes, '\0') {
  files::FileResult<files::Fd> fd = OpenForReading(name_);
  if (!fd.ok()) throw DataError(name_ + ": cannot open: " + Reason(fd.error()));
  fd_ = *std::move(fd);
}

std::string_view RawBytes::Peek(size_t wanted) {
  assert(wanted <= kMaxPeek);
  if (end_ - begin_ < wanted && !at_end_) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
  while (end_ - begin_ < wanted && !at_end_) {
    char* const free = buffer_.data() + end_;
    const files::FileResult<size_t> read = files::ReadSome(fd_, name_, free, buffer_.size() - end_);
    if (!read.ok()) throw DataError(name_ + ": cannot read: " + Reason(read.error()));
    at_end_ = *read == 0;
    hasher_.Update({free, *read});
    read_ += *read;
    end_ += *read;
  }
  return {buffer_.data() + begin_, end_ - begin_};
}

void RawBytes::Take(size_t bytes) {
  assert(bytes <= end_ - begin_);
  begin_ += bytes;
}

files::FileDigest RawBytes::digest() const {
  assert(at_end_);
  return {.size = read_, .xxh3 = hasher_.Digest()};
}

}  // namespace sink::data
