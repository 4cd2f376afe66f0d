// How deep a JSON text nests, told before anything is built from it: readers of JSON, and whoever copies or prints a
// value, go down its levels on the stack. Neutral: standard library only, linked by both families. Pure; any thread.
#pragma once

#include <string_view>

namespace sink {

// Counts the brackets that stand in no string; the text need not be valid. A parser's callback for every value would
// cost more, of large vocabularies above all.
inline bool IsDeeperThan(int levels, std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > levels) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace sink
