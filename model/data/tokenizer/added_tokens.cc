// See added_tokens.h.
#include "model/data/tokenizer/added_tokens.h"

namespace sink::data {
namespace {

uint64_t Key(uint32_t node, char byte) { return uint64_t{node} << 8 | static_cast<unsigned char>(byte); }

}  // namespace

void AddedTokenFinder::Add(const std::string& content, int32_t id) {
  uint32_t node = 0;
  for (const char byte : content) {
    const auto [child, is_new] = children_.try_emplace(Key(node, byte), static_cast<uint32_t>(ids_.size()));
    if (is_new) ids_.push_back(-1);
    node = child->second;
  }
  if (node == 0) return;
  ids_[node] = id;
  for (size_t second = 0; second < 256; ++second) {
    if (content.size() == 1 || static_cast<unsigned char>(content[1]) == second) {
      beginnings_.set(size_t{static_cast<unsigned char>(content[0])} << 8 | second);
    }
  }
}

void AddedTokenFinder::Split(std::string_view input, const std::function<void(std::string_view)>& text,
                             const std::function<void(int32_t)>& token) const {
  size_t done = 0;
  for (size_t start = 0; start < input.size() && ids_.size() > 1;) {
    if (!MayBegin(input, start)) {
      ++start;
      continue;
    }
    int32_t id = -1;
    size_t end = start;
    uint32_t node = 0;
    for (size_t i = start; i < input.size(); ++i) {
      const auto child = children_.find(Key(node, input[i]));
      if (child == children_.end()) break;
      node = child->second;
      if (ids_[node] >= 0) id = ids_[node], end = i + 1;
    }
    if (id < 0) {
      ++start;
      continue;
    }
    if (start > done) text(input.substr(done, start - done));
    token(id);
    done = start = end;
  }
  if (done < input.size()) text(input.substr(done));
}

}  // namespace sink::data
