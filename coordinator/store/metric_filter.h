// Which metric names a query wants; shared by both stores. Pure; any thread.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace sink::store {

// True when `patterns` is empty or has the name, or a beginning of it followed by '*'.
inline bool WantsMetric(const std::vector<std::string>& patterns, std::string_view name) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [name](std::string_view pattern) {
           if (!pattern.ends_with('*')) return pattern == name;
           return name.starts_with(pattern.substr(0, pattern.size() - 1));
         });
}

}  // namespace sink::store
