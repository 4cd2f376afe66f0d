// See word_scanner.h.
#include "model/data/tokenizer/word_scanner.h"

#include "model/data/tokenizer/unicode.h"

namespace sink::data {
namespace {

// Reads characters with their classes.
class ClassReader {
 public:
  explicit ClassReader(std::string_view text) : text_(text), flags_(CharFlags()) {}

  bool AtEnd(size_t i) const { return i >= text_.size(); }

  // The class of the character at i, whose end goes to *end.
  CharClass Class(size_t i, size_t* end) const {
    const Utf8Char next = DecodeChar(text_, i);
    *end = next.end;
    return static_cast<CharClass>(flags_[next.code] & kClassMask);
  }

  // The class at i; kSpace at the end of the text, where no alternative but white space may match.
  CharClass Class(size_t i) const {
    size_t end;
    return AtEnd(i) ? CharClass::kSpace : Class(i, &end);
  }

  // The end of the run of characters of one class from i on.
  size_t SkipRun(CharClass wanted, size_t i) const {
    for (size_t end; !AtEnd(i) && Class(i, &end) == wanted;) i = end;
    return i;
  }

  // \s+(?!\S)|\s+ on the white space that begins at i: a run is left its last character where something follows.
  size_t SkipSpaces(size_t i) const {
    size_t last = i, end = i;
    for (size_t next; !AtEnd(end) && Class(end, &next) == CharClass::kSpace;) last = end, end = next;
    return AtEnd(end) || last == i ? end : last;
  }

 private:
  std::string_view text_;
  const uint8_t* flags_;
};

// The bytes of 's, 't, 're, 've, 'm, 'll or 'd after the apostrophe at i, or 0. With kAnyCase also in capitals, and
// with the long s, whose capital is S.
template <bool kAnyCase>
size_t ContractionBytes(std::string_view text, size_t i) {
  const auto letter = [&](size_t index) {
    if (index >= text.size()) return '\0';
    const char c = text[index];
    return kAnyCase && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  };
  switch (letter(i + 1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 1;
    case 'r':
    case 'v':
      return letter(i + 2) == 'e' ? 2 : 0;
    case 'l':
      return letter(i + 2) == 'l' ? 2 : 0;
    default:
      return kAnyCase && text.substr(i + 1, 2) == "\u017f" ? 2 : 0;
  }
}

size_t ScanGpt2(std::string_view text, size_t begin) {
  const ClassReader reader(text);
  if (text[begin] == '\'') {
    if (const size_t bytes = ContractionBytes<false>(text, begin)) return begin + 1 + bytes;
  }
  const size_t start = begin + (text[begin] == ' ' ? 1 : 0);
  const CharClass kind = reader.Class(start);
  return kind == CharClass::kSpace ? reader.SkipSpaces(begin) : reader.SkipRun(kind, start);
}

bool IsNewline(std::string_view text, size_t i) { return i < text.size() && (text[i] == '\n' || text[i] == '\r'); }

size_t ScanLlama3(std::string_view text, size_t begin) {
  const ClassReader reader(text);
  if (text[begin] == '\'') {
    if (const size_t bytes = ContractionBytes<true>(text, begin)) return begin + 1 + bytes;
  }
  size_t second;
  const CharClass first = reader.Class(begin, &second);
  if (first == CharClass::kLetter) return reader.SkipRun(CharClass::kLetter, second);
  if (first == CharClass::kNumber) {
    size_t end = second;
    for (int digits = 1; digits < 3 && reader.Class(end) == CharClass::kNumber; ++digits) reader.Class(end, &end);
    return end;
  }
  const CharClass next = reader.Class(second);
  if (next == CharClass::kLetter && !IsNewline(text, begin)) return reader.SkipRun(CharClass::kLetter, second);
  if (first == CharClass::kOther || (text[begin] == ' ' && next == CharClass::kOther)) {
    size_t end = reader.SkipRun(CharClass::kOther, second);
    while (IsNewline(text, end)) ++end;
    return end;
  }
  // White space: up to its last newline where it has one.
  size_t newline = 0;
  for (size_t i = begin; reader.Class(i) == CharClass::kSpace && !reader.AtEnd(i);) {
    if (IsNewline(text, i)) newline = i + 1;
    reader.Class(i, &i);
  }
  return newline != 0 ? newline : reader.SkipSpaces(begin);
}

}  // namespace

WordScanner FindWordScanner(std::string_view pattern) {
  if (pattern == kGpt2Pattern) return &ScanGpt2;
  if (pattern == kLlama3Pattern) return &ScanLlama3;
  return nullptr;
}

}  // namespace sink::data
