// Byte pair encoding of one word: the pair with the lowest rank is merged first, leftmost first, until none fits. Short
// words are searched anew after each merge, on the stack; long ones have a heap of candidates, which makes it
// O(n log n): a megabyte without a space takes a second, not a week.
// Immutable after construction; any number of threads may call Merge.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "model/data/tokenizer/flat_map.h"

namespace sink::data {

struct MergeRule {
  int32_t left = 0, right = 0, merged = 0;  // ids, not negative
  int32_t rank = 0;                         // rules may share one
};

class BpeMerger {
 public:
  // Where two rules name the same pair, the later counts.
  explicit BpeMerger(std::span<const MergeRule> rules);

  // Merges the symbols of a word in place; what is left stands at the front, and its number is returned.
  size_t Merge(std::span<int32_t> symbols) const;

 private:
  struct Rule {
    int32_t rank = std::numeric_limits<int32_t>::max();  // no such rule
    int32_t merged = 0;
  };

  Rule Find(int32_t left, int32_t right) const;
  size_t MergeShort(std::span<int32_t> symbols) const;
  size_t MergeLong(std::span<int32_t> symbols) const;

  FlatMap<Rule> rules_;  // by left << 32 | right
};

}  // namespace sink::data
