// See random_order.h.
#include "model/data/loader/random_order.h"

#include <xxhash.h>

#include <bit>

namespace sink::data {

uint64_t HashOf(std::initializer_list<uint64_t> values) {
  return XXH3_64bits(values.begin(), values.size() * sizeof(uint64_t));
}

uint64_t UniformOf(std::initializer_list<uint64_t> values, uint64_t n) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(HashOf(values)) * n) >> 64);
}

uint64_t Permute(uint64_t index, uint64_t n, uint64_t key) {
  if (n < 2) return index;
  constexpr uint64_t kRounds = 6;
  const int half = (std::bit_width(n - 1) + 1) / 2;
  const uint64_t mask = (uint64_t{1} << half) - 1;
  do {
    uint64_t left = index >> half, right = index & mask;
    for (uint64_t round = 0; round < kRounds; ++round) {
      const uint64_t mixed = left ^ (HashOf({key, round, right}) & mask);
      left = right;
      right = mixed;
    }
    index = left << half | right;
  } while (index >= n);
  return index;
}

}  // namespace sink::data
