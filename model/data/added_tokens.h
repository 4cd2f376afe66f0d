// Finds a tokenizer's added tokens (<|endoftext|>, GPT-NeoX's runs of spaces) in text, leftmost first and the longest
// of those, as `tokenizers` does. Immutable after construction; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sink::data {

class AddedTokenFinder {
 public:
  void Add(const std::string& content, int32_t id);

  // Calls text(piece) for every stretch without added tokens and token(id) for every added token, in order.
  void Split(std::string_view input, const std::function<void(std::string_view)>& text,
             const std::function<void(int32_t)>& token) const;

 private:
  // A trie: child of (node, byte), root 0; id of the token that ends in a node, or -1.
  std::unordered_map<uint64_t, uint32_t> children_;
  std::vector<int32_t> ids_ = {-1};
};

}  // namespace sink::data
