// Lines of a text file that may be compressed: .gz and .zst by their first bytes, anything else as it is.
// A LineReader belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace sink::data {

inline constexpr size_t kMaxLineBytes = 64 << 20;

// A source of decompressed bytes; see line_reader.cc for the three kinds.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills up to size bytes; 0 at the end. DataError on damaged or truncated input.
  virtual size_t Read(char* out, size_t size) = 0;
  virtual uint64_t consumed() const = 0;  // bytes of the file so far, for progress
};

// DataError when the file cannot be opened.
std::unique_ptr<ByteSource> OpenByteSource(const std::filesystem::path& path);

class LineReader {
 public:
  explicit LineReader(const std::filesystem::path& path);

  // The next line without its newline (and carriage return), false at the end. A line longer than kMaxLineBytes comes
  // as an empty one with too_long() set. DataError on damaged compressed data.
  bool Next(std::string* line);

  bool too_long() const { return too_long_; }
  int64_t line_number() const { return line_number_; }  // of the line last returned, from 1
  uint64_t consumed() const { return source_->consumed(); }

 private:
  std::unique_ptr<ByteSource> source_;
  std::string buffer_;
  size_t begin_ = 0, end_ = 0;  // of what is unread in buffer_
  int64_t line_number_ = 0;
  bool too_long_ = false;
};

}  // namespace sink::data
