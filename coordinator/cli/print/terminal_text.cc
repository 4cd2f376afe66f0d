#include "coordinator/cli/print/terminal_text.h"

#include <utf8proc.h>

#include <cmath>
#include <cstdio>
#include <ctime>

namespace sink::cli {
namespace {

constexpr char kEllipsis[] = "\u2026";
constexpr char kReplacement[] = "\ufffd";

// The character at the start of `text` and its length in bytes; -1 and 1 for malformed UTF-8.
struct Character {
  int32_t code;
  size_t bytes;
};
Character First(std::string_view text) {
  utf8proc_int32_t code = -1;
  const auto bytes = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                      static_cast<utf8proc_ssize_t>(text.size()), &code);
  if (bytes <= 0) return {-1, 1};
  return {code, static_cast<size_t>(bytes)};
}

int WidthOf(Character c) { return c.code < 0 ? 1 : utf8proc_charwidth(c.code); }

// Bytes of a terminal escape sequence at the start of `text`, which begins with ESC.
size_t EscapeLength(std::string_view text) {
  if (text.size() < 2) return 1;
  if (text[1] == '[') {  // CSI: parameters, then a final byte @..~
    size_t i = 2;
    while (i < text.size() && text[i] >= 0x20 && text[i] < 0x40) ++i;
    return i < text.size() && text[i] >= 0x40 && text[i] <= 0x7e ? i + 1 : i;
  }
  if (text[1] == ']') {  // OSC: up to BEL or ESC backslash
    for (size_t i = 2; i < text.size(); ++i) {
      if (text[i] == '\a') return i + 1;
      if (text[i] == '\x1b') return i + 1 < text.size() && text[i + 1] == '\\' ? i + 2 : i;
    }
    return 2;  // not terminated: show what follows rather than lose it
  }
  return 1;
}

bool IsHidden(int32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200e && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0x061c || code == 0xfeff;
}

std::string Print(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// `value` with three significant digits and no exponent; 0 <= value < 1000.
std::string ThreeDigits(double value) { return Print(value < 9.995 ? "%.2f" : value < 99.95 ? "%.1f" : "%.0f", value); }

}  // namespace

int DisplayWidth(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const Character c = First(text);
    width += WidthOf(c);
    text.remove_prefix(c.bytes);
  }
  return width;
}

std::string Ellipsize(std::string_view text, int width) {
  if (width <= 0) return "";
  if (DisplayWidth(text) <= width) return std::string(text);
  std::string out;
  int used = 0;
  while (!text.empty()) {
    const Character c = First(text);
    if (used + WidthOf(c) > width - 1) break;
    used += WidthOf(c);
    out += text.substr(0, c.bytes);
    text.remove_prefix(c.bytes);
  }
  return out + kEllipsis;
}

std::vector<std::string> Wrap(std::string_view text, int width) {
  if (width < 1) width = 1;
  std::vector<std::string> lines;
  while (DisplayWidth(text) > width) {
    size_t end = 0, last_space = 0;
    for (int used = 0; end < text.size();) {
      const Character c = First(text.substr(end));
      if (used + WidthOf(c) > width && end > 0) break;
      if (c.code == ' ') last_space = end;
      used += WidthOf(c);
      end += c.bytes;
    }
    if (end < text.size() && text[end] == ' ') last_space = end;
    const size_t cut = last_space > 0 ? last_space : end;
    lines.emplace_back(text.substr(0, cut));
    text.remove_prefix(cut);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  }
  if (!text.empty() || lines.empty()) lines.emplace_back(text);
  return lines;
}

std::string Clean(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character c = First(text);
    size_t bytes = c.bytes;
    if (c.code < 0) {
      out += kReplacement;
    } else if (c.code == 0x1b) {
      bytes = EscapeLength(text);
    } else if (c.code == '\t' || c.code == '\n' || c.code == '\r') {
      out += ' ';
    } else if (!IsHidden(c.code)) {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return out;
}

std::string FormatFixed(double value, int decimals) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (std::fabs(value) >= 1e6) return FormatPower(value);
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string FormatCount(double value) {
  if (!std::isfinite(value)) return FormatFixed(value, 0);
  if (std::fabs(value) < 999.5) return Print("%.0f", value);
  if (value < 0 || value >= 999.5e12) return FormatPower(value);
  for (const char* unit : {"k", "M", "B", "T"}) {
    value /= 1000;
    if (value < 999.5) return ThreeDigits(value) + unit;
  }
  return "";  // not reached: values that large were printed above
}

std::string FormatPower(double value) {
  std::string text = Print("%.1e", value);
  if (const size_t plus = text.find("e+"); plus != std::string::npos)
    text.erase(plus + 1, text[plus + 2] == '0' ? 2 : 1);  // "e+06" -> "e6"
  return text;
}

std::string FormatBytes(double bytes) {
  if (bytes < 1024) return Print("%.0f B", bytes);
  for (const char* unit : {" KiB", " MiB", " GiB"}) {
    bytes /= 1024;
    if (bytes < 999.5) return ThreeDigits(bytes) + unit;
  }
  return FormatFixed(bytes / 1024, 1) + " TiB";
}

std::string FormatDuration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e10) return "-";
  const auto s = static_cast<int64_t>(seconds + 0.5);
  char text[64];
  if (s < 60) {
    std::snprintf(text, sizeof text, "%llds", static_cast<long long>(s));
  } else if (s < 3600) {
    std::snprintf(text, sizeof text, "%lldm%02llds", static_cast<long long>(s / 60), static_cast<long long>(s % 60));
  } else if (s < 86400) {
    std::snprintf(text, sizeof text, "%lldh%02lldm", static_cast<long long>(s / 3600),
                  static_cast<long long>(s / 60 % 60));
  } else {
    std::snprintf(text, sizeof text, "%lldd%02lldh", static_cast<long long>(s / 86400),
                  static_cast<long long>(s / 3600 % 24));
  }
  return text;
}

std::string FormatTime(int64_t unix_ms) {
  if (unix_ms <= 0) return "-";
  const time_t seconds = static_cast<time_t>(unix_ms / 1000);
  struct tm local {};
  if (localtime_r(&seconds, &local) == nullptr) return "-";
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

}  // namespace sink::cli
