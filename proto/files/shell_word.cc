#include "proto/files/shell_word.h"

namespace sink::files {
namespace {

constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:=@%+,";

}  // namespace

std::string ShellWord(std::string_view text) {
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos) return std::string(text);
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'') {
      word += "'\\''";  // ends the quotes, one of its own, and goes on in quotes
    } else {
      word += c;
    }
  }
  return word + "'";
}

}  // namespace sink::files
