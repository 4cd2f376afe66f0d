// See line_reader.h.
#include "model/data/corpus/line_reader.h"

#include <cstring>

namespace sink::data {
namespace {

constexpr size_t kBufferBytes = 1 << 18;

}  // namespace

LineReader::LineReader(const std::filesystem::path& path)
    : source_(OpenByteSource(path)), buffer_(kBufferBytes, '\0') {}

bool LineReader::Next(std::string* line) {
  line->clear();
  too_long_ = false;
  bool found = false;
  while (true) {
    if (begin_ == end_) {
      begin_ = 0;
      end_ = source_->Read(buffer_.data(), buffer_.size());
      if (end_ == 0) break;
    }
    found = true;
    const void* newline = std::memchr(buffer_.data() + begin_, '\n', end_ - begin_);
    const size_t stop = newline == nullptr ? end_ : static_cast<const char*>(newline) - buffer_.data();
    if (line->size() + (stop - begin_) > kMaxLineBytes) too_long_ = true;
    if (!too_long_) line->append(buffer_, begin_, stop - begin_);
    begin_ = newline == nullptr ? stop : stop + 1;
    if (newline != nullptr) break;
  }
  if (!found) return false;
  ++line_number_;
  if (too_long_) line->clear();
  if (line->ends_with('\r')) line->pop_back();
  return true;
}

}  // namespace sink::data
