// The texts of a JSON-lines file or pipe, one after another (pack alone parses lines itself, on several threads).
// A TextReader belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "model/data/corpus/json_lines.h"
#include "model/data/corpus/line_reader.h"

namespace sink::data {

class TextReader {
 public:
  // `key`: the field that holds a line's text. DataError when the file cannot be opened.
  explicit TextReader(const std::filesystem::path& path, std::string key = kTextKey);

  // The next text; false at the end. Blank lines are passed over. DataError, beginning with FILE:LINE, on a line that
  // holds no text, on damaged compressed data, and at the end of a file without one text.
  bool Next(std::string* text);
  // The same; lines without a text are passed over and named to `bad_line` as "FILE:LINE: why".
  bool Next(std::string* text, const std::function<void(const std::string&)>& bad_line);

  uint64_t consumed() const { return lines_.consumed(); }  // bytes of the file

 private:
  std::string path_, key_;
  LineReader lines_;
  std::string line_;
  int64_t texts_ = 0;
};

}  // namespace sink::data
