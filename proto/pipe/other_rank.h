// How a rank of a job says that it fails because another one has failed. Its own machine may be well then, so the
// worker and the coordinator look for the cause elsewhere. They know it by this text: older trainers say the same, and
// it is stored wherever the message is. Neutral; pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

namespace sink::pipe {

inline constexpr std::string_view kSeenBy = " (seen by ";

// "rank 1 of 4 failed: no sign of life (seen by rank 0 of 4: broken pipe)". One line, but for what the symptom has.
inline std::string OfAnotherRank(const std::string& cause, const std::string& seen_by, const std::string& symptom) {
  return cause + std::string(kSeenBy) + seen_by + (symptom.empty() ? "" : ": ") + symptom + ")";
}

// Whether this message of a failure is such a one. Lines after the first may be the end of a trainer's standard error,
// which proves nothing.
inline bool IsOfAnotherRank(std::string_view message) {
  const std::string_view line = message.substr(0, message.find('\n'));
  return line.find(kSeenBy) != std::string_view::npos;
}

}  // namespace sink::pipe
