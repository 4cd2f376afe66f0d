// The ids of words met before: a table of fixed size, made at the first word, in which a new word drives out an old
// one, so that it neither grows nor allocates again. Nearly every word of a text is short and comes again. A WordCache
// belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "model/data/tokenizer/flat_map.h"

namespace sink::data {

class WordCache {
 public:
  static constexpr size_t kMaxWordBytes = 24;
  static constexpr size_t kMaxIds = 9;

  // Appends the word's ids; false when they are not known.
  bool Find(std::string_view word, std::vector<int32_t>* ids) const {
    if (word.size() > kMaxWordBytes || slots_.empty()) return false;
    const Text text = Pad(word);
    const size_t home = HomeOf(text, word.size());
    for (const size_t i : {home, home ^ 1}) {
      const Slot& slot = slots_[i];
      if (slot.bytes != word.size() || slot.text != text) continue;
      ids->insert(ids->end(), slot.ids.begin(), slot.ids.begin() + slot.count);
      return true;
    }
    return false;
  }

  // Remembers a word that is not empty and that Find does not know, where it is short enough.
  void Add(std::string_view word, std::span<const int32_t> ids) {
    if (word.size() > kMaxWordBytes || ids.size() > kMaxIds) return;
    if (slots_.empty()) slots_.resize(kSlots);
    Slot slot = {.text = Pad(word), .bytes = static_cast<uint8_t>(word.size())};
    slot.count = static_cast<uint8_t>(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) slot.ids[i] = ids[i];
    const size_t home = HomeOf(slot.text, word.size());
    slots_[home ^ 1] = slots_[home];
    slots_[home] = slot;
  }

 private:
  using Text = std::array<uint64_t, kMaxWordBytes / sizeof(uint64_t)>;

  struct alignas(64) Slot {  // a cache line
    Text text = {};
    uint8_t bytes = 0;  // 0: empty
    uint8_t count = 0;
    std::array<int32_t, kMaxIds> ids = {};
  };
  static_assert(sizeof(Slot) == 64);
  static constexpr size_t kSlots = 1 << 16;

  static Text Pad(std::string_view word) {
    Text text = {};
    std::memcpy(text.data(), word.data(), word.size());
    return text;
  }

  static size_t HomeOf(const Text& text, size_t bytes) {
    uint64_t hash = bytes;
    for (const uint64_t part : text) hash = MixBits(hash ^ part);
    return hash >> 40 & (kSlots - 1);
  }

  std::vector<Slot> slots_;  // none, or kSlots
};

}  // namespace sink::data
