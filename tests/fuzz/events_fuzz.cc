// Fuzzes the parser of trainer events: it never crashes, and whatever it accepts survives being written and read again.
#include <cstdlib>

#include "proto/pipe/events.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sink::pipe;
  const ParseResult first = Parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (first.event.has_value() == !first.error.empty()) std::abort();
  if (!first.event) return 0;
  const std::string line = Encode(*first.event);
  if (line.size() > kMaxLineBytes) return 0;  // a short number may print longer than it came
  const ParseResult second = Parse(line);
  if (!second.event || Encode(*second.event) != line) std::abort();
  return 0;
}
