// See added_tokens.h.
#include "model/data/tokenizer/added_tokens.h"

#include "model/data/tokenizer/unicode.h"

namespace sink::data {
namespace {

bool IsSpace(char32_t code) { return (CharFlags()[code] & kClassMask) == static_cast<uint8_t>(CharClass::kSpace); }

// Where the white space that ends text begins, and where the text begins after white space.
size_t EndWithoutSpaces(std::string_view text) {
  size_t end = 0;
  for (size_t i = 0; i < text.size();) {
    const Utf8Char next = DecodeChar(text, i);
    i = next.end;
    if (!IsSpace(next.code)) end = i;
  }
  return end;
}
size_t BeginOfText(std::string_view text) {
  size_t begin = 0;
  while (begin < text.size()) {
    const Utf8Char next = DecodeChar(text, begin);
    if (!IsSpace(next.code)) break;
    begin = next.end;
  }
  return begin;
}

uint64_t Key(uint32_t node, char byte) { return uint64_t{node} << 8 | static_cast<unsigned char>(byte); }

}  // namespace

void AddedTokenFinder::Add(const std::string& content, int32_t id, bool lstrip, bool rstrip) {
  uint32_t node = 0;
  for (const char byte : content) {
    const auto [child, is_new] = children_.try_emplace(Key(node, byte), static_cast<uint32_t>(ids_.size()));
    if (is_new) ids_.push_back(-1);
    node = child->second;
  }
  if (node == 0) return;
  ids_[node] = id;
  if (lstrip || rstrip) strips_[node] = {lstrip, rstrip};
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
    uint32_t node = 0, found = 0;
    for (size_t i = start; i < input.size(); ++i) {
      const auto child = children_.find(Key(node, input[i]));
      if (child == children_.end()) break;
      node = child->second;
      if (ids_[node] >= 0) id = ids_[node], end = i + 1, found = node;
    }
    if (id < 0) {
      ++start;
      continue;
    }
    if (const auto strip = strips_.find(found); strip != strips_.end()) {
      if (strip->second.first) start = done + EndWithoutSpaces(input.substr(done, start - done));
      if (strip->second.second) end += BeginOfText(input.substr(end));
    }
    if (start > done) text(input.substr(done, start - done));
    token(id);
    done = start = end;
  }
  if (done < input.size()) text(input.substr(done));
}

}  // namespace sink::data
