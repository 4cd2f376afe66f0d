// See space_marks.h.
#include "model/data/tokenizer/space_marks.h"

#include <charconv>
#include <cstdio>

namespace sink::data {

bool HoldsInnerMark(std::string_view text, std::string_view mark) {
  while (text.starts_with(mark)) text.remove_prefix(mark.size());
  return text.find(mark) != std::string_view::npos;
}

void CutAtMarks(std::string_view text, std::string_view mark, Cut cut, std::vector<std::string_view>* words) {
  size_t begin = 0;
  for (size_t i = 0, found; (found = text.find(mark, i)) != std::string_view::npos; i = found + mark.size()) {
    const bool in_run = found == i;  // right after another mark, or at the beginning
    if (found == begin || (in_run && cut == Cut::kRuns)) continue;
    words->push_back(text.substr(begin, found - begin));
    begin = found;
  }
  if (begin < text.size()) words->push_back(text.substr(begin));
}

std::string ByteTokenText(int byte) {
  char text[8];
  std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte) & 0xff);
  return text;
}

int ParseByteToken(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || !text.ends_with('>')) return -1;
  int byte = 0;
  const auto [end, error] = std::from_chars(text.data() + 3, text.data() + 5, byte, 16);
  return error == std::errc() && end == text.data() + 5 && ByteTokenText(byte) == text ? byte : -1;
}

}  // namespace sink::data
