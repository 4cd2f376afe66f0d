// One line of a JSON-lines corpus: an object with a string field "text". Other fields may be anything and are skipped
// without being kept, so a line costs no more memory than its text. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sink::data {

inline constexpr int kMaxJsonDepth = 64;

struct TextResult {
  std::optional<std::string> text;  // UTF-8
  std::string error;                // one phrase, when there is no text
};

// Never throws. Refuses what is not one JSON object, ill-formed UTF-8, nesting beyond kMaxJsonDepth, and a "text" that
// is missing, doubled or not a string.
TextResult ParseTextLine(std::string_view line);

// {"text": ...}, without a newline.
std::string PrintTextLine(std::string_view text);

}  // namespace sink::data
