// The two steps before byte-level BPE: Unicode normalisation (utf8proc), and cutting text into words with a regex
// (PCRE2, compiled to machine code). A Splitter belongs to one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sink::data {

// DataError when text is not UTF-8 (surrogates and overlong forms included).
void CheckUtf8(std::string_view text);

// Normalisation form C of UTF-8 text.
std::string NormalizeNfc(std::string_view text);

class Splitter {
 public:
  // DataError, beginning with name, when a pattern does not compile. White space (\s) is Unicode's White_Space.
  Splitter(const std::vector<std::string>& patterns, const std::string& name);
  ~Splitter();
  Splitter(Splitter&&) noexcept;

  // Appends the words of UTF-8 text (which must have been checked): every match of the first pattern and whatever lies
  // between matches; each of them cut by the next pattern in the same way. Concatenated they are text. DataError when a
  // pattern exceeds the match limits.
  void Split(std::string_view text, std::vector<std::string_view>* words) const;

 private:
  struct Regex;

  void Split(size_t pattern, std::string_view text, std::vector<std::string_view>* words) const;

  std::vector<Regex> regexes_;
};

}  // namespace sink::data
