// Which points a query wants, and what it is told where they cannot be had; shared by both stores. Pure; any thread.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace sink::store {

// True when `patterns` is empty or has the name, or a beginning of it followed by '*'.
inline bool WantsMetric(const std::vector<std::string>& patterns, std::string_view name) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [name](std::string_view pattern) {
           if (!pattern.ends_with('*')) return pattern == name;
           return name.starts_with(pattern.substr(0, pattern.size() - 1));
         });
}

inline absl::Status PointsWereThinned() {
  return absl::AbortedError("its points were thinned while they were read; ask again");
}

}  // namespace sink::store
