// See splitter.h.
#include "model/data/splitter.h"

#include <utf8proc.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "model/data/error.h"

namespace sink::data {
namespace {

constexpr unsigned char kFirstByteOfUnstable = 0xcc;  // characters below U+0300 are their own normal form

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

void CheckUtf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t i = 0; i < text.size();) {
    if (bytes[i] < 0x80) {
      ++i;
      continue;
    }
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t n = ::utf8proc_iterate(bytes + i, text.size() - i, &code);
    if (n <= 0) throw DataError("text is not UTF-8 at byte " + std::to_string(i));
    i += n;
  }
}

std::string NormalizeNfc(std::string_view text) {
  const bool stable = std::none_of(text.begin(), text.end(),
                                   [](char c) { return static_cast<unsigned char>(c) >= kFirstByteOfUnstable; });
  if (stable) return std::string(text);
  utf8proc_uint8_t* out = nullptr;
  const utf8proc_ssize_t n = ::utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), text.size(), &out,
                                            static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (n < 0) throw DataError(std::string("text cannot be normalised: ") + ::utf8proc_errmsg(n));
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(out, &std::free);
  return std::string(reinterpret_cast<const char*>(out), n);
}

struct Splitter::Regex {
  std::unique_ptr<pcre2_code, void (*)(pcre2_code*)> code;
  std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> match;
};

Splitter::Splitter(const std::vector<std::string>& patterns, const std::string& name) {
  for (const std::string& pattern : patterns) {
    const std::string translated = WithUnicodeSpaces(pattern);
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code* code = ::pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
    if (code == nullptr) throw DataError(name + ": its pattern does not compile: " + MessageOf(error));
    Regex regex = {.code = {code, &::pcre2_code_free}, .match = {nullptr, &::pcre2_match_data_free}};
    ::pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where it fails, the interpreter does the same, slower
    regex.match.reset(::pcre2_match_data_create_from_pattern(code, nullptr));
    if (regex.match == nullptr) throw std::bad_alloc();
    regexes_.push_back(std::move(regex));
  }
}
Splitter::~Splitter() = default;
Splitter::Splitter(Splitter&&) noexcept = default;

void Splitter::Split(std::string_view text, std::vector<std::string_view>* words) const { Split(0, text, words); }

void Splitter::Split(size_t pattern, std::string_view text, std::vector<std::string_view>* words) const {
  if (text.empty()) return;
  if (pattern == regexes_.size()) {
    words->push_back(text);
    return;
  }
  const Regex& regex = regexes_[pattern];
  size_t done = 0;  // everything before it is in words
  for (size_t start = 0; start < text.size();) {
    const int count = ::pcre2_match(regex.code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), start,
                                    PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, regex.match.get(), nullptr);
    if (count == PCRE2_ERROR_NOMATCH) break;
    if (count < 0) throw DataError("a text is too complicated for the tokenizer's pattern: " + MessageOf(count));
    const PCRE2_SIZE* range = ::pcre2_get_ovector_pointer(regex.match.get());
    // \K and look-behind can give a range that does not move on.
    if (range[0] < done || range[1] <= range[0]) throw DataError("the tokenizer's pattern matches backwards");
    Split(pattern + 1, text.substr(done, range[0] - done), words);
    Split(pattern + 1, text.substr(range[0], range[1] - range[0]), words);
    done = start = range[1];
  }
  Split(pattern + 1, text.substr(done), words);
}

}  // namespace sink::data
