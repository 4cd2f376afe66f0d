// Keys out of the bytes that a terminal sends for them. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sink::cli {

enum class KeyKind { kText, kUp, kDown, kPageUp, kPageDown, kHome, kEnd, kEnter, kEscape, kBackspace };

struct Key {
  KeyKind kind = KeyKind::kText;
  std::string text = {};  // of kText: one character in UTF-8

  friend bool operator==(const Key&, const Key&) = default;
};

// Bytes that mean no key here are left out. A sequence that the terminal has sent in two pieces is one key too few.
std::vector<Key> DecodeKeys(std::string_view bytes);

}  // namespace sink::cli
