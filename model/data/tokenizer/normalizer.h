// What a tokenizer does to text before it cuts it into words: a list of steps. Plain values and a pure function; any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sink::data {

struct NormalizerStep {
  enum class Kind { kNfc, kPrepend, kReplace };

  Kind kind = Kind::kNfc;
  std::string pattern;  // of kReplace: not empty
  std::string content;  // what kPrepend puts before text that is not empty, and kReplace in the place of pattern
};

// The text after all steps; UTF-8 gives UTF-8.
std::string Normalize(const std::vector<NormalizerStep>& steps, std::string_view text);

// Text with every `pattern` (not empty) replaced, from the left.
std::string ReplaceAll(std::string_view text, std::string_view pattern, std::string_view content);

}  // namespace sink::data
