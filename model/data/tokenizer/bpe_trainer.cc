// See bpe_trainer.h.
#include "model/data/tokenizer/bpe_trainer.h"

#include <algorithm>
#include <queue>
#include <tuple>
#include <utility>

#include "model/base/data_error.h"
#include "model/data/tokenizer/byte_alphabet.h"
#include "model/data/tokenizer/unicode.h"
#include "model/data/tokenizer/word_scanner.h"

namespace sink::data {
namespace {

constexpr int64_t kBaseTokens = 257;

struct Word {
  std::vector<int32_t> ids;
  int64_t count = 0;
};

using Pair = std::pair<int32_t, int32_t>;

struct PairHash {
  size_t operator()(const Pair& pair) const {
    return std::hash<uint64_t>()(static_cast<uint64_t>(pair.first) << 32 | pair.second);
  }
};

struct PairUse {
  int64_t count = 0;
  std::vector<int32_t> words;  // that held it when it was counted; may name words that no longer do, or twice
};

struct PairCount {
  int64_t count = 0;  // when it was pushed; it only falls afterwards
  Pair pair;

  bool operator<(const PairCount& other) const { return std::tie(count, other.pair) < std::tie(other.count, pair); }
};

// The growing vocabulary and the corpus written in it.
class MergeLearner {
 public:
  explicit MergeLearner(const std::unordered_map<std::string, int64_t>& counts) {
    spec_.normalizer = {{.kind = NormalizerStep::Kind::kNfc}};
    spec_.patterns = {kGpt2Pattern};
    spec_.added = {{.content = "<|endoftext|>", .id = 0}};
    spec_.vocab = {{.bytes = "<|endoftext|>", .id = 0}};
    std::vector<uint8_t> bytes(256);
    for (int byte = 0; byte < 256; ++byte) bytes[byte] = static_cast<uint8_t>(byte);
    std::sort(bytes.begin(), bytes.end(), [](uint8_t a, uint8_t b) { return ByteCharacter(a) < ByteCharacter(b); });
    int32_t id_of_byte[256];
    for (const uint8_t byte : bytes) id_of_byte[byte] = AddToken(std::string(1, static_cast<char>(byte)));

    for (const auto& [text, count] : counts) {
      Word word = {.ids = {}, .count = count};
      for (const char c : text) word.ids.push_back(id_of_byte[static_cast<unsigned char>(c)]);
      words_.push_back(std::move(word));
    }
    for (size_t i = 0; i < words_.size(); ++i) CountPairs(i, +1);
    for (const auto& [pair, use] : pairs_) candidates_.push({.count = use.count, .pair = pair});
  }

  // Makes the most frequent pair a token; false when none comes min_frequency times.
  bool Step(int64_t min_frequency) {
    while (!candidates_.empty()) {
      PairCount top = candidates_.top();
      candidates_.pop();
      const int64_t count = pairs_[top.pair].count;
      if (count < std::max<int64_t>(min_frequency, 1)) continue;
      if (count != top.count) {
        top.count = count;
        candidates_.push(top);
        continue;
      }
      Apply(top.pair);
      return true;
    }
    return false;
  }

  int64_t size() const { return static_cast<int64_t>(spec_.vocab.size()); }
  BpeSpec Take() { return std::move(spec_); }

 private:
  int32_t AddToken(std::string bytes) {
    const auto id = static_cast<int32_t>(spec_.vocab.size());
    spec_.vocab.push_back({.bytes = std::move(bytes), .id = id});
    return id;
  }

  void CountPairs(size_t word, int sign) {
    const Word& w = words_[word];
    for (size_t i = 0; i + 1 < w.ids.size(); ++i) {
      PairUse& use = pairs_[{w.ids[i], w.ids[i + 1]}];
      use.count += sign * w.count;
      if (sign > 0 && (use.words.empty() || use.words.back() != static_cast<int32_t>(word))) use.words.push_back(word);
    }
  }

  void Apply(const Pair& pair) {
    // Two ways of merging may spell the same token; the second keeps the id of the first.
    const std::string bytes = spec_.vocab[pair.first].bytes + spec_.vocab[pair.second].bytes;
    const auto [known, is_new] = id_of_bytes_.try_emplace(bytes, static_cast<int32_t>(spec_.vocab.size()));
    const int32_t merged = is_new ? AddToken(bytes) : known->second;
    spec_.merges.push_back({.left = pair.first, .right = pair.second, .merged = merged});
    const std::vector<int32_t> users = std::move(pairs_[pair].words);
    std::vector<Pair> grown;
    for (const int32_t user : users) {
      Word& word = words_[user];
      const auto first = std::adjacent_find(word.ids.begin(), word.ids.end(),
                                            [&](int32_t a, int32_t b) { return a == pair.first && b == pair.second; });
      if (first == word.ids.end()) continue;
      CountPairs(user, -1);
      size_t out = 0;
      for (size_t i = 0; i < word.ids.size(); ++i) {
        const bool match = word.ids[i] == pair.first && i + 1 < word.ids.size() && word.ids[i + 1] == pair.second;
        word.ids[out++] = match ? merged : word.ids[i];
        i += match;
      }
      word.ids.resize(out);
      CountPairs(user, +1);
      for (size_t i = 0; i + 1 < out; ++i) {
        if (word.ids[i] == merged || word.ids[i + 1] == merged) grown.emplace_back(word.ids[i], word.ids[i + 1]);
      }
    }
    std::sort(grown.begin(), grown.end());
    grown.erase(std::unique(grown.begin(), grown.end()), grown.end());
    for (const Pair& each : grown) candidates_.push({.count = pairs_[each].count, .pair = each});
  }

  BpeSpec spec_;
  std::vector<Word> words_;
  std::unordered_map<std::string, int32_t> id_of_bytes_;  // of merged tokens
  std::unordered_map<Pair, PairUse, PairHash> pairs_;
  std::priority_queue<PairCount> candidates_;
};

}  // namespace

BpeTrainer::BpeTrainer() : splitter_({kGpt2Pattern}, "BPE trainer") {}

void BpeTrainer::Add(std::string_view text) {
  CheckUtf8(text);
  const std::string normalized = NormalizeNfc(text);
  words_.clear();
  splitter_.Split(normalized, &words_);
  for (const std::string_view word : words_) ++counts_[std::string(word)];
}

BpeSpec BpeTrainer::Train(int64_t vocab_size, int64_t min_frequency) const {
  if (vocab_size < kBaseTokens) {
    throw DataError("a vocabulary of " + std::to_string(vocab_size) +
                    " is too small; it holds 256 bytes and EOS (257)");
  }
  MergeLearner learner(counts_);
  while (learner.size() < vocab_size && learner.Step(min_frequency)) {
  }
  return learner.Take();
}

}  // namespace sink::data
