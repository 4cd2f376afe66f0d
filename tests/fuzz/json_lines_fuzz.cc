// Any bytes as a line of a corpus, after a line with the name of its text's field: text or an error, never both, and
// text survives being printed and parsed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/data/corpus/json_lines.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sink::data;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t newline = bytes.find('\n');
  const bool named = newline != std::string_view::npos;
  const TextResult result =
      named ? ParseTextLine(bytes.substr(newline + 1), bytes.substr(0, newline)) : ParseTextLine(bytes);
  if (result.text.has_value() == !result.error.empty()) std::abort();
  if (result.text && ParseTextLine(PrintTextLine(*result.text)).text != result.text) std::abort();
  return 0;
}
