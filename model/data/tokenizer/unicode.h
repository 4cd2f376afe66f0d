// What tokenizers ask of Unicode: whether text is UTF-8, its normal form C, and the class of a character.
// The answers are those of Hugging Face's `tokenizers`, whose regexes know Unicode 16 and whose normaliser Unicode 9;
// where utf8proc (Unicode 15) says otherwise, tables in unicode.cc say what is true there. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sink::data {

// The four classes that the patterns of GPT-2 and LLaMA-3 tell apart.
enum class CharClass : uint8_t { kOther, kLetter, kNumber, kSpace };  // \p{L}, \p{N}, White_Space

struct Utf8Char {
  char32_t code = 0;
  size_t end = 0;  // where the next character begins
};

// The character at i < text.size() of text that has passed CheckUtf8; i is where a character begins.
inline Utf8Char DecodeChar(std::string_view text, size_t i) {
  const auto byte = [&](size_t index) { return static_cast<unsigned char>(text[index]); };
  const unsigned char first = byte(i);
  const auto tail = [&](size_t k) { return static_cast<char32_t>(byte(i + k) & 0x3f); };
  if (first < 0x80) return {first, i + 1};
  if (first < 0xe0) return {static_cast<char32_t>(first & 0x1f) << 6 | tail(1), i + 2};
  if (first < 0xf0) return {static_cast<char32_t>(first & 0x0f) << 12 | tail(1) << 6 | tail(2), i + 3};
  return {static_cast<char32_t>(first & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), i + 4};
}

// A byte of flags for every code point: the class in the low two bits, and kUnstable.
inline constexpr uint8_t kClassMask = 3;
inline constexpr uint8_t kUnstable = 4;  // may change, or change its neighbours, under normalisation form C
const uint8_t* CharFlags();              // [0x110000]; computed by the first caller

// DataError when text is not UTF-8 (surrogates and overlong forms included).
void CheckUtf8(std::string_view text);

// Normalisation form C of UTF-8 text.
std::string NormalizeNfc(std::string_view text);

// Whether NormalizeNfc would return text unchanged as far as a quick look can tell; false may be wrong.
bool IsSurelyNfc(std::string_view text);

}  // namespace sink::data
