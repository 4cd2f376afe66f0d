// See unicode.h.
#include "model/data/tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <vector>

#include "model/base/data_error.h"

namespace sink::data {
namespace {

constexpr uint64_t kHighBits = 0x8080808080808080;

struct Range {
  char32_t first, last;
};

// Letters and numbers that Unicode assigned after utf8proc's 15.0.
constexpr Range kLaterLetters[] = {{0x1c89, 0x1c8a},   {0xa7cb, 0xa7cd},   {0xa7da, 0xa7dc},   {0x105c0, 0x105f3},
                                   {0x10d4a, 0x10d65}, {0x10d6f, 0x10d85}, {0x10ec2, 0x10ec4}, {0x11380, 0x11389},
                                   {0x1138b, 0x1138b}, {0x1138e, 0x1138e}, {0x11390, 0x113b5}, {0x113b7, 0x113b7},
                                   {0x113d1, 0x113d1}, {0x113d3, 0x113d3}, {0x11bc0, 0x11be0}, {0x13460, 0x143fa},
                                   {0x16100, 0x1611d}, {0x16d40, 0x16d6c}, {0x18cff, 0x18cff}, {0x1e5d0, 0x1e5ed},
                                   {0x1e5f0, 0x1e5f0}, {0x2ebf0, 0x2ee5d}};
constexpr Range kLaterNumbers[] = {{0x10d40, 0x10d49}, {0x116d0, 0x116e3}, {0x11bf0, 0x11bf9}, {0x16130, 0x16139},
                                   {0x16d70, 0x16d79}, {0x1ccf0, 0x1ccf9}, {0x1e5f1, 0x1e5fa}};

// Marks that came after Unicode 9: its normaliser neither moves them nor composes with them, so that what stands before
// one and what stands after it are normalised apart.
constexpr Range kLaterMarks[] = {
    {0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},     {0xc3c, 0xc3c},
    {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x1715, 0x1715},   {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},
    {0xa82c, 0xa82c},   {0x10d24, 0x10d27}, {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50},
    {0x10f82, 0x10f85}, {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e}, {0x11839, 0x1183a},
    {0x11930, 0x11930}, {0x1193d, 0x1193e}, {0x11943, 0x11943}, {0x119e0, 0x119e0}, {0x11a34, 0x11a34},
    {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42}, {0x11d44, 0x11d45}, {0x11d97, 0x11d97},
    {0x11f41, 0x11f42}, {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae},
    {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef}};
constexpr Range kSpaces[] = {{0x9, 0xd},       {0x20, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},     {0x1680, 0x1680},
                             {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};
constexpr Range kTrailingJamo[] = {{0x1161, 0x1175}, {0x11a8, 0x11c2}};  // they join the syllable before them

bool IsLaterMark(char32_t code) {
  const Range* range = std::lower_bound(std::begin(kLaterMarks), std::end(kLaterMarks), code,
                                        [](const Range& each, char32_t wanted) { return each.last < wanted; });
  return range != std::end(kLaterMarks) && range->first <= code;
}

CharClass CategoryClass(utf8proc_category_t category) {
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) return CharClass::kLetter;
  if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) return CharClass::kNumber;
  return CharClass::kOther;
}

std::string MapToNfc(std::string_view text) {
  utf8proc_uint8_t* out = nullptr;
  const utf8proc_ssize_t n = ::utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), text.size(), &out,
                                            static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (n < 0) throw DataError(std::string("text cannot be normalised: ") + ::utf8proc_errmsg(n));
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(out, &std::free);
  return std::string(reinterpret_cast<const char*>(out), n);
}

// Marks what NFC can change: characters that have another form, and those that join the one before them.
void MarkDecomposable(utf8proc_int32_t code, std::vector<uint8_t>* flags) {
  utf8proc_int32_t parts[16];
  int boundary = 0;
  const utf8proc_ssize_t n = ::utf8proc_decompose_char(code, parts, std::size(parts), UTF8PROC_DECOMPOSE, &boundary);
  for (utf8proc_ssize_t i = 1; i < n; ++i) (*flags)[parts[i]] |= kUnstable;
  utf8proc_uint8_t bytes[4];
  const std::string_view text(reinterpret_cast<const char*>(bytes), ::utf8proc_encode_char(code, bytes));
  if (MapToNfc(text) != text) (*flags)[code] |= kUnstable;
}

std::vector<uint8_t> MakeFlags() {
  std::vector<uint8_t> flags(0x110000);
  for (utf8proc_int32_t code = 0; code < 0x110000; ++code) {
    const utf8proc_property_t* property = ::utf8proc_get_property(code);
    flags[code] |= static_cast<uint8_t>(CategoryClass(static_cast<utf8proc_category_t>(property->category)));
    if (property->combining_class != 0) flags[code] |= kUnstable;
    if (property->decomp_seqindex != UINT16_MAX && property->decomp_type == 0) MarkDecomposable(code, &flags);
  }
  const auto mark = [&](const auto& ranges, uint8_t flag) {
    for (const Range& range : ranges) {
      for (char32_t code = range.first; code <= range.last; ++code) flags[code] |= flag;
    }
  };
  mark(kLaterLetters, static_cast<uint8_t>(CharClass::kLetter));
  mark(kLaterNumbers, static_cast<uint8_t>(CharClass::kNumber));
  mark(kSpaces, static_cast<uint8_t>(CharClass::kSpace));
  mark(kLaterMarks, kUnstable);
  mark(kTrailingJamo, kUnstable);
  return flags;
}

// Where the run of ASCII that begins at i ends, give or take: looked at eight bytes at a time.
size_t SkipAscii(std::string_view text, size_t i) {
  for (uint64_t word; i + sizeof word <= text.size(); i += sizeof word) {
    std::memcpy(&word, text.data() + i, sizeof word);
    if (word & kHighBits) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

}  // namespace

const uint8_t* CharFlags() {
  static const std::vector<uint8_t> flags = MakeFlags();
  return flags.data();
}

void CheckUtf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t i = SkipAscii(text, 0); i < text.size(); i = SkipAscii(text, i)) {
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t n = ::utf8proc_iterate(bytes + i, text.size() - i, &code);
    if (n <= 0) throw DataError("text is not UTF-8 at byte " + std::to_string(i));
    i += n;
  }
}

bool IsSurelyNfc(std::string_view text) {
  const uint8_t* flags = CharFlags();
  for (size_t i = SkipAscii(text, 0); i < text.size(); i = SkipAscii(text, i)) {
    const Utf8Char next = DecodeChar(text, i);
    if (flags[next.code] & kUnstable) return false;
    i = next.end;
  }
  return true;
}

std::string NormalizeNfc(std::string_view text) {
  if (IsSurelyNfc(text)) return std::string(text);
  std::string out;
  size_t done = 0;
  for (size_t i = SkipAscii(text, 0); i < text.size(); i = SkipAscii(text, i)) {
    const Utf8Char next = DecodeChar(text, i);
    if (IsLaterMark(next.code)) {
      out += MapToNfc(text.substr(done, i - done));
      out.append(text, i, next.end - i);
      done = next.end;
    }
    i = next.end;
  }
  return out += MapToNfc(text.substr(done));
}

}  // namespace sink::data
