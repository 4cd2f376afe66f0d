#include "coordinator/cli/top/keys.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace sink::cli {
namespace {

constexpr char kEscapeByte = '\x1b';

// What follows "ESC [" or "ESC O", up to its last byte; the keys of xterm and what imitates it.
std::optional<KeyKind> KeyOf(std::string_view sequence) {
  constexpr std::pair<std::string_view, KeyKind> kSequences[] = {
      {"A", KeyKind::kUp},      {"B", KeyKind::kDown},      {"H", KeyKind::kHome},  {"F", KeyKind::kEnd},
      {"5~", KeyKind::kPageUp}, {"6~", KeyKind::kPageDown}, {"1~", KeyKind::kHome}, {"4~", KeyKind::kEnd}};
  for (const auto& [text, kind] : kSequences)
    if (sequence == text) return kind;
  return std::nullopt;
}

size_t CharacterLength(unsigned char first) { return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4; }

}  // namespace

std::vector<Key> DecodeKeys(std::string_view bytes) {
  std::vector<Key> keys;
  while (!bytes.empty()) {
    const char first = bytes[0];
    size_t length = 1;
    if (first == kEscapeByte && bytes.size() > 1 && (bytes[1] == '[' || bytes[1] == 'O')) {
      size_t end = 2;
      while (end < bytes.size() && bytes[end] >= 0x20 && bytes[end] < 0x40) ++end;
      length = end < bytes.size() ? end + 1 : end;
      if (const auto kind = KeyOf(bytes.substr(2, length - 2))) keys.push_back({*kind});
    } else if (first == kEscapeByte) {
      keys.push_back({KeyKind::kEscape});
    } else if (first == '\r' || first == '\n') {
      keys.push_back({KeyKind::kEnter});
    } else if (first == '\x7f' || first == '\b') {
      keys.push_back({KeyKind::kBackspace});
    } else if (static_cast<unsigned char>(first) >= 0x20) {
      length = CharacterLength(static_cast<unsigned char>(first));
      keys.push_back({KeyKind::kText, std::string(bytes.substr(0, length))});
    }
    bytes.remove_prefix(std::min(length, bytes.size()));
  }
  return keys;
}

}  // namespace sink::cli
