// Lines of a text that may be compressed (byte_source.h).
// A LineReader belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "model/data/corpus/byte_source.h"
#include "proto/files/hash.h"

namespace sink::data {

inline constexpr size_t kMaxLineBytes = 64 << 20;
inline constexpr char kTooLong[] = "longer than 64 MiB";  // what is wrong with a longer one

class LineReader {
 public:
  // A file, a pipe or, for "-", standard input. DataError when it cannot be opened.
  explicit LineReader(const std::filesystem::path& path);

  // The next line without its newline (and carriage return), false at the end. A line longer than kMaxLineBytes comes
  // as an empty one with too_long() set. DataError on damaged compressed data.
  bool Next(std::string* line);

  bool too_long() const { return too_long_; }
  int64_t line_number() const { return line_number_; }            // of the line last returned, from 1
  uint64_t consumed() const { return source_->consumed(); }       // bytes of the file
  files::FileDigest digest() const { return source_->digest(); }  // of the file, once Next was false

 private:
  std::unique_ptr<ByteSource> source_;
  std::string buffer_;
  size_t begin_ = 0, end_ = 0;  // of what is unread in buffer_
  int64_t line_number_ = 0;
  bool too_long_ = false;
};

}  // namespace sink::data
