// A map from 64-bit keys to small values in one array, for tables that are filled once and then looked up millions of
// times. Filling belongs to one thread; afterwards any number may look up.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace sink::data {

// 64 well-mixed bits of a key, the better ones on top.
inline uint64_t MixBits(uint64_t key) {
  key *= 0x9e3779b97f4a7c15;
  return key ^ key >> 32;
}

template <typename Value>
class FlatMap {
 public:
  // Room for `size` keys; more must not be set. Half of the slots stay empty.
  explicit FlatMap(size_t size = 0) : slots_(std::bit_ceil(2 * size + 2)) {}

  // Keys are below 2^64 - 1. A key that was set before takes the new value.
  void Set(uint64_t key, const Value& value) {
    Slot& slot = slots_[IndexOf(key)];
    slot = {.key = key, .value = value};
  }

  // Null when the key was never set.
  const Value* Find(uint64_t key) const {
    const Slot& slot = slots_[IndexOf(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

 private:
  static constexpr uint64_t kEmpty = std::numeric_limits<uint64_t>::max();

  struct Slot {
    uint64_t key = kEmpty;
    Value value = {};
  };

  // The key's slot, or the empty one where it would go.
  size_t IndexOf(uint64_t key) const {
    size_t i = MixBits(key) & (slots_.size() - 1);
    while (slots_[i].key != key && slots_[i].key != kEmpty) i = (i + 1) & (slots_.size() - 1);
    return i;
  }

  std::vector<Slot> slots_;
};

}  // namespace sink::data
