// Cutting text into words, as a tokenizer's patterns say: those of GPT-2 and LLaMA-3 by hand (word_scanner.h), any
// other with PCRE2, compiled to machine code. A Splitter belongs to one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sink::data {

// Whether a Splitter may use a scanner in the place of a pattern that has one. Tests compare the two.
enum class Scanners { kUse, kLeaveOut };

class Splitter {
 public:
  // DataError, beginning with name, when a pattern does not compile. White space (\s) is Unicode's White_Space.
  Splitter(const std::vector<std::string>& patterns, const std::string& name, Scanners scanners = Scanners::kUse);
  ~Splitter();
  Splitter(Splitter&&) noexcept;

  // Appends the words of UTF-8 text (which must have been checked): every match of the first pattern and whatever lies
  // between matches; each of them cut by the next pattern in the same way. Concatenated they are text. DataError when a
  // pattern exceeds the match limits.
  void Split(std::string_view text, std::vector<std::string_view>* words) const;

 private:
  struct Step;

  void Split(size_t index, std::string_view text, std::vector<std::string_view>* words) const;

  std::vector<Step> steps_;
};

}  // namespace sink::data
