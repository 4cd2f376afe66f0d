// See bpe_merger.h.
#include "model/data/tokenizer/bpe_merger.h"

#include <algorithm>
#include <array>
#include <functional>
#include <queue>
#include <tuple>
#include <vector>

namespace sink::data {
namespace {

constexpr size_t kShort = 40;  // symbols; beyond it the heap is faster

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

uint64_t Key(int32_t left, int32_t right) { return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right); }

}  // namespace

BpeMerger::BpeMerger(std::span<const MergeRule> rules) : rules_(rules.size()) {
  for (const MergeRule& rule : rules) {
    rules_.Set(Key(rule.left, rule.right), {.rank = rule.rank, .merged = rule.merged});
  }
}

BpeMerger::Rule BpeMerger::Find(int32_t left, int32_t right) const {
  const Rule* found = rules_.Find(Key(left, right));
  return found == nullptr ? Rule() : *found;
}

size_t BpeMerger::Merge(std::span<int32_t> symbols) const {
  return symbols.size() <= kShort ? MergeShort(symbols) : MergeLong(symbols);
}

size_t BpeMerger::MergeShort(std::span<int32_t> symbols) const {
  size_t size = symbols.size();
  std::array<Rule, kShort> rules;  // rules[i] is that of symbols i and i + 1
  for (size_t i = 0; i + 1 < size; ++i) rules[i] = Find(symbols[i], symbols[i + 1]);
  while (size > 1) {
    const auto best = std::min_element(rules.begin(), rules.begin() + (size - 1),
                                       [](const Rule& a, const Rule& b) { return a.rank < b.rank; });
    if (best->rank == Rule().rank) break;
    const size_t i = best - rules.begin();
    symbols[i] = best->merged;
    std::copy(symbols.begin() + i + 2, symbols.begin() + size, symbols.begin() + i + 1);
    std::copy(best + 1, rules.begin() + (size - 1), best);
    --size;
    if (i + 1 < size) rules[i] = Find(symbols[i], symbols[i + 1]);
    if (i > 0) rules[i - 1] = Find(symbols[i - 1], symbols[i]);
  }
  return size;
}

size_t BpeMerger::MergeLong(std::span<int32_t> word) const {
  const auto size = static_cast<int32_t>(word.size());
  std::vector<Symbol> symbols(size);
  for (int32_t i = 0; i < size; ++i) {
    symbols[i] = {.id = word[i], .previous = i - 1, .next = i + 1 < size ? i + 1 : -1};
  }
  std::vector<Candidate> first;
  const auto candidate_at = [&](int32_t left, const auto& take) {
    if (left < 0 || symbols[left].next < 0) return;
    const Rule rule = Find(symbols[left].id, symbols[symbols[left].next].id);
    if (rule.rank != Rule().rank) take(Candidate{.rank = rule.rank, .left = left, .merged = rule.merged});
  };
  for (int32_t i = 0; i < size; ++i) candidate_at(i, [&](const Candidate& each) { first.push_back(each); });
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates({}, std::move(first));
  while (!candidates.empty()) {
    const Candidate top = candidates.top();
    candidates.pop();
    Symbol& left = symbols[top.left];
    if (!left.alive || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    // What begins at one place never spells the same token again once it has grown, so the token tells the pair.
    const Rule rule = Find(left.id, right.id);
    if (rule.rank == Rule().rank || rule.merged != top.merged) continue;
    left.id = top.merged;
    left.next = right.next;
    right.alive = false;
    if (left.next >= 0) symbols[left.next].previous = top.left;
    const auto push = [&](const Candidate& each) { candidates.push(each); };
    candidate_at(left.previous, push);
    candidate_at(top.left, push);
  }
  size_t count = 0;
  for (int32_t i = size > 0 ? 0 : -1; i >= 0; i = symbols[i].next) word[count++] = symbols[i].id;
  return count;
}

}  // namespace sink::data
