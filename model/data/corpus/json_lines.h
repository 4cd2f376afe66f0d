// One line of a JSON-lines corpus: an object with a string field, "text" or as the corpus calls it. Other fields may be
// anything and are skipped without being kept, so a line costs no more memory than its text. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sink::data {

inline constexpr int kMaxJsonDepth = 64;
inline constexpr char kTextKey[] = "text";

struct TextResult {
  std::optional<std::string> text;  // UTF-8
  std::string error;                // one phrase, when there is no text
};

// Never throws. Refuses what is not one JSON object, ill-formed UTF-8, nesting beyond kMaxJsonDepth, and a field `key`
// that is missing, doubled or not a string.
TextResult ParseTextLine(std::string_view line, std::string_view key = kTextKey);

// Whether there is nothing on a line but spaces and tabs: such lines hold nothing, which is no mistake.
bool IsBlank(std::string_view line);

// {"text": ...}, without a newline.
std::string PrintTextLine(std::string_view text);

}  // namespace sink::data
