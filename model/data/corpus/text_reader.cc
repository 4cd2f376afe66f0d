// See text_reader.h.
#include "model/data/corpus/text_reader.h"

#include <utility>

#include "model/base/data_error.h"

namespace sink::data {

TextReader::TextReader(const std::filesystem::path& path, std::string key)
    : path_(path.string()), key_(std::move(key)), lines_(path) {}

bool TextReader::Next(std::string* text) {
  return Next(text, [](const std::string& why) { throw DataError(why); });
}

bool TextReader::Next(std::string* text, const std::function<void(const std::string&)>& bad_line) {
  while (lines_.Next(&line_)) {
    if (!lines_.too_long() && IsBlank(line_)) continue;
    TextResult parsed = lines_.too_long() ? TextResult{.error = kTooLong} : ParseTextLine(line_, key_);
    if (!parsed.text) {
      bad_line(path_ + ":" + std::to_string(lines_.line_number()) + ": " + parsed.error);
      continue;
    }
    ++texts_;
    *text = *std::move(parsed.text);
    return true;
  }
  if (texts_ == 0) throw DataError(path_ + ": holds no text");
  return false;
}

}  // namespace sink::data
