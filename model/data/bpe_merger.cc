// See bpe_merger.h.
#include "model/data/bpe_merger.h"

#include <queue>
#include <tuple>

namespace sink::data {
namespace {

// A token of the word so far, in a list by index; dead once it was merged into its left neighbour.
struct Symbol {
  int32_t id = 0;
  int32_t previous = -1;
  int32_t next = -1;
  bool alive = true;
};

// A pair that could be merged when it was pushed; whether it still can is seen when it is popped.
struct Candidate {
  int32_t rank = 0;
  int32_t left = 0;  // index
  int32_t merged = 0;

  bool operator>(const Candidate& other) const { return std::tie(rank, left) > std::tie(other.rank, other.left); }
};

}  // namespace

BpeMerger::BpeMerger(const BpeSpec& spec) {
  for (const BpeToken& token : spec.vocab) {
    if (token.reachable && token.bytes.size() == 1) id_of_byte_[static_cast<unsigned char>(token.bytes[0])] = token.id;
  }
  rules_.reserve(spec.merges.size());
  for (size_t i = 0; i < spec.merges.size(); ++i) {
    const BpeMerge& merge = spec.merges[i];
    rules_[static_cast<uint64_t>(merge.left) << 32 | merge.right] = {.rank = static_cast<int32_t>(i),
                                                                     .merged = merge.merged};
  }
}

const BpeMerger::Rule* BpeMerger::Find(int32_t left, int32_t right) const {
  const auto found = rules_.find(static_cast<uint64_t>(left) << 32 | right);
  return found == rules_.end() ? nullptr : &found->second;
}

void BpeMerger::Merge(std::string_view word, std::vector<int32_t>* ids) const {
  const auto size = static_cast<int32_t>(word.size());
  std::vector<Symbol> symbols(size);
  for (int32_t i = 0; i < size; ++i) {
    symbols[i] = {
        .id = id_of_byte_[static_cast<unsigned char>(word[i])], .previous = i - 1, .next = i + 1 < size ? i + 1 : -1};
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto push = [&](int32_t left) {
    if (left < 0 || symbols[left].next < 0) return;
    const Rule* rule = Find(symbols[left].id, symbols[symbols[left].next].id);
    if (rule != nullptr) candidates.push({.rank = rule->rank, .left = left, .merged = rule->merged});
  };
  for (int32_t i = 0; i + 1 < size; ++i) push(i);
  while (!candidates.empty()) {
    const Candidate top = candidates.top();
    candidates.pop();
    Symbol& left = symbols[top.left];
    if (!left.alive || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    const Rule* rule = Find(left.id, right.id);
    if (rule == nullptr || rule->merged != top.merged) continue;
    left.id = top.merged;
    left.next = right.next;
    right.alive = false;
    if (left.next >= 0) symbols[left.next].previous = top.left;
    push(left.previous);
    push(top.left);
  }
  for (int32_t i = size > 0 ? 0 : -1; i >= 0; i = symbols[i].next) ids->push_back(symbols[i].id);
}

}  // namespace sink::data
