// Which points of a curve stay when it is thinned; shared by both stores. Pure; any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace sink::store {

// Of the steps, each there once and in any order, at most `count` (at least 2): the first, the last, and between them
// those that lie evenly in the order of steps.
inline std::vector<int64_t> EvenlySpaced(std::vector<int64_t> steps, int count) {
  std::sort(steps.begin(), steps.end());
  const auto wanted = static_cast<size_t>(std::max(2, count));
  if (steps.size() <= wanted) return steps;
  std::vector<int64_t> kept;
  for (size_t i = 0; i < wanted; ++i) kept.push_back(steps[i * (steps.size() - 1) / (wanted - 1)]);
  return kept;
}

}  // namespace sink::store
