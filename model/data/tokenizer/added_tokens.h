// Finds a tokenizer's added tokens (<|endoftext|>, GPT-NeoX's runs of spaces) in text, leftmost first and the longest
// of those, as `tokenizers` does. Immutable after construction; any thread.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sink::data {

class AddedTokenFinder {
 public:
  // lstrip, rstrip: the token takes the white space before it, after it.
  void Add(const std::string& content, int32_t id, bool lstrip = false, bool rstrip = false);

  // Calls text(piece) for every stretch without added tokens and token(id) for every added token, in order.
  void Split(std::string_view input, const std::function<void(std::string_view)>& text,
             const std::function<void(int32_t)>& token) const;

 private:
  // Whether a token may begin here, judged by two bytes: nearly everywhere it may not.
  bool MayBegin(std::string_view input, size_t i) const {
    const size_t first = static_cast<unsigned char>(input[i]);
    const size_t second = i + 1 < input.size() ? static_cast<unsigned char>(input[i + 1]) : 0;
    return beginnings_[first << 8 | second];
  }

  // A trie: child of (node, byte), root 0; id of the token that ends in a node, or -1.
  std::unordered_map<uint64_t, uint32_t> children_;
  std::vector<int32_t> ids_ = {-1};
  std::unordered_map<uint32_t, std::pair<bool, bool>> strips_;  // of a node, where there are any
  std::bitset<1 << 16> beginnings_;  // by the first two bytes; of a token of one byte, with every second
};

}  // namespace sink::data
