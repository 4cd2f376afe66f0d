// See clean_text.h.
#include "coordinator/core/clean_text.h"

namespace sink {
namespace {

constexpr std::string_view kCut = " [cut]";

}  // namespace

size_t CharacterLength(std::string_view text) {
  auto byte = [text](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto continues = [&byte](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!continues(1) || !continues(2) || (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F))
      return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    return (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F) ? 0 : 4;
  }
  return 0;
}

std::string CleanText(std::string_view text, size_t max_bytes) {
  std::string clean;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const std::string_view character = length == 0 ? "?" : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
    const unsigned char byte = character[0];
    if ((byte < 0x20 && byte != '\t' && byte != '\n') || byte == 0x7F) continue;
    // C1 control characters: U+0080 to U+009F.
    if (byte == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0) continue;
    if (clean.size() + character.size() + (text.empty() ? 0 : kCut.size()) > max_bytes) return clean.append(kCut);
    clean.append(character);
  }
  return clean;
}

}  // namespace sink
