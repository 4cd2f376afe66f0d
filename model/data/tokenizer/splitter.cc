// See splitter.h.
#include "model/data/tokenizer/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

#include "model/base/data_error.h"
#include "model/data/tokenizer/word_scanner.h"

namespace sink::data {
namespace {

// PCRE2's \s also takes U+180E, which other libraries gave up with Unicode 6.3.
std::string WithUnicodeSpaces(const std::string& pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    out += pattern[i];
    if (pattern[i] != '\\' || i + 1 == pattern.size()) continue;
    const char escaped = pattern[++i];
    if (escaped == 's') {
      out += "p{White_Space}";
    } else if (escaped == 'S') {
      out += "P{White_Space}";
    } else {
      out += escaped;
    }
  }
  return out;
}

std::string MessageOf(int code) {
  PCRE2_UCHAR message[256];
  ::pcre2_get_error_message(code, message, sizeof message);
  return reinterpret_cast<const char*>(message);
}

}  // namespace

// A scanner, or else a regex.
struct Splitter::Step {
  WordScanner scan = nullptr;
  std::unique_ptr<pcre2_code, void (*)(pcre2_code*)> code;
  std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> match;
};

Splitter::Splitter(const std::vector<std::string>& patterns, const std::string& name, Scanners scanners) {
  for (const std::string& pattern : patterns) {
    Step step = {.scan = scanners == Scanners::kUse ? FindWordScanner(pattern) : nullptr,
                 .code = {nullptr, &::pcre2_code_free},
                 .match = {nullptr, &::pcre2_match_data_free}};
    if (step.scan != nullptr) {
      steps_.push_back(std::move(step));
      continue;
    }
    const std::string translated = WithUnicodeSpaces(pattern);
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code* code = ::pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
    if (code == nullptr) throw DataError(name + ": its pattern does not compile: " + MessageOf(error));
    step.code.reset(code);
    ::pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where it fails, the interpreter does the same, slower
    step.match.reset(::pcre2_match_data_create_from_pattern(code, nullptr));
    if (step.match == nullptr) throw std::bad_alloc();
    steps_.push_back(std::move(step));
  }
}
Splitter::~Splitter() = default;
Splitter::Splitter(Splitter&&) noexcept = default;

void Splitter::Split(std::string_view text, std::vector<std::string_view>* words) const { Split(0, text, words); }

void Splitter::Split(size_t index, std::string_view text, std::vector<std::string_view>* words) const {
  if (text.empty()) return;
  if (index == steps_.size()) {
    words->push_back(text);
    return;
  }
  const Step& step = steps_[index];
  const bool last = index + 1 == steps_.size();
  if (step.scan != nullptr) {
    for (size_t begin = 0, end; begin < text.size(); begin = end) {
      end = step.scan(text, begin);
      const std::string_view word = text.substr(begin, end - begin);
      last ? words->push_back(word) : Split(index + 1, word, words);
    }
    return;
  }
  size_t done = 0;  // everything before it is in words
  for (size_t start = 0; start < text.size();) {
    const int count = ::pcre2_match(step.code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), start,
                                    PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, step.match.get(), nullptr);
    if (count == PCRE2_ERROR_NOMATCH) break;
    if (count < 0) throw DataError("a text is too complicated for the tokenizer's pattern: " + MessageOf(count));
    const PCRE2_SIZE* range = ::pcre2_get_ovector_pointer(step.match.get());
    // \K and look-behind can give a range that does not move on.
    if (range[0] < done || range[1] <= range[0]) throw DataError("the tokenizer's pattern matches backwards");
    Split(index + 1, text.substr(done, range[0] - done), words);
    Split(index + 1, text.substr(range[0], range[1] - range[0]), words);
    done = start = range[1];
  }
  Split(index + 1, text.substr(done), words);
}

}  // namespace sink::data
