// Any bytes as a line of a corpus: text or an error, never both, and text survives being printed and parsed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/data/corpus/json_lines.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sink::data;
  const TextResult result = ParseTextLine(std::string_view(reinterpret_cast<const char*>(data), size));
  if (result.text.has_value() == !result.error.empty()) std::abort();
  if (result.text && ParseTextLine(PrintTextLine(*result.text)).text != result.text) std::abort();
  return 0;
}
