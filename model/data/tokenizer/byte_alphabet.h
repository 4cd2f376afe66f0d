// The 256 printable characters by which byte-level BPE writes bytes in a tokenizer.json: the printable ones of Latin-1
// stand for themselves, the other bytes, in order, for U+0100 and up. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sink::data {

// The character (UTF-8) that stands for a byte.
std::string ByteCharacter(uint8_t byte);

// Bytes to their characters.
std::string ToByteAlphabet(std::string_view bytes);

// And back; nothing when text has a character outside the alphabet.
std::optional<std::string> FromByteAlphabet(std::string_view text);

}  // namespace sink::data
