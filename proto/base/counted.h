// Counts as a reader meets them: "1 job", "2 jobs". Neutral: standard library only. A pure function; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sink {

// The plural is the noun with an s unless it is given. Words that change with the number may follow the noun in both:
// Counted(n, "job is", "jobs are").
inline std::string Counted(int64_t count, std::string_view noun, std::string_view plural = "") {
  std::string text = std::to_string(count) + " ";
  text += count == 1 || plural.empty() ? noun : plural;
  if (count != 1 && plural.empty()) text += 's';
  return text;
}

}  // namespace sink
