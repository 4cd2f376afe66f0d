// See byte_alphabet.h.
#include "model/data/tokenizer/byte_alphabet.h"

#include <array>

namespace sink::data {
namespace {

constexpr int kCodes = 0x144;  // one past the last code point of the alphabet

struct Alphabet {
  std::array<int, 256> code_of_byte = {};
  std::array<int, kCodes> byte_of_code = {};  // -1: not in the alphabet
};

constexpr bool IsPrintable(int byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  for (int& byte : alphabet.byte_of_code) byte = -1;
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const int code = IsPrintable(byte) ? byte : next++;
    alphabet.code_of_byte[byte] = code;
    alphabet.byte_of_code[code] = byte;
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

std::string ByteCharacter(uint8_t byte) {
  const int code = kAlphabet.code_of_byte[byte];
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
}

std::string ToByteAlphabet(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += ByteCharacter(static_cast<uint8_t>(byte));
  return text;
}

std::optional<std::string> FromByteAlphabet(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    int code = static_cast<unsigned char>(text[i]);
    if (code >= 0xc0 && code < 0xe0 && i + 1 < text.size()) {  // the alphabet needs no longer sequences
      code = (code & 0x1f) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f);
    } else if (code >= 0x80) {
      return std::nullopt;
    }
    if (code >= kCodes || kAlphabet.byte_of_code[code] < 0) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte_of_code[code]);
  }
  return bytes;
}

}  // namespace sink::data
