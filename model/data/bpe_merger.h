// Byte pair encoding of one word: the merge that stands first in the list is applied first, leftmost first, until none
// fits. A heap of candidate pairs makes it O(n log n), so that a megabyte without a space takes a second, not a week.
// Immutable after construction; any number of threads may call Merge.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/data/tokenizer_json.h"

namespace sink::data {

class BpeMerger {
 public:
  explicit BpeMerger(const BpeSpec& spec);

  // Appends the ids of a word's bytes.
  void Merge(std::string_view word, std::vector<int32_t>* ids) const;

 private:
  struct Rule {
    int32_t rank = 0;
    int32_t merged = 0;
  };

  // The rule for a pair of ids, or null.
  const Rule* Find(int32_t left, int32_t right) const;

  std::array<int32_t, 256> id_of_byte_ = {};
  std::unordered_map<uint64_t, Rule> rules_;  // by left << 32 | right
};

}  // namespace sink::data
