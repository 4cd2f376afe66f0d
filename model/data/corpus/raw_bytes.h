// The bytes of a file, a pipe or standard input as they come, each read once. The file is opened once, too, so that
// looking at its first bytes takes none of them from whoever reads it.
// Belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "proto/files/descriptor.h"
#include "proto/files/hash.h"

namespace sink::data {

class RawBytes {
 public:
  // "-" and /dev/stdin are standard input, from where it stands. DataError when the file cannot be opened.
  explicit RawBytes(const std::filesystem::path& path);

  // What is at hand of the bytes that were not taken: at least `wanted` (at most kMaxPeek) of them, fewer only at the
  // end. Valid until the next call. DataError when the file cannot be read.
  std::string_view Peek(size_t wanted);
  // Takes the first bytes of what Peek returned.
  void Take(size_t bytes);

  const std::string& name() const { return name_; }
  uint64_t offset() const { return read_ - (end_ - begin_); }  // of the first byte that was not taken
  // Of the whole file; only when Peek has shown its end.
  files::FileDigest digest() const;

  static constexpr size_t kMaxPeek = 4096;

 private:
  std::string name_;
  files::Fd fd_;
  std::string buffer_;
  size_t begin_ = 0, end_ = 0;  // of what was read and not taken, in buffer_
  bool at_end_ = false;         // of the file: it is not read again, as a terminal would go on
  uint64_t read_ = 0;           // bytes
  files::Hasher hasher_;        // of them
};

}  // namespace sink::data
