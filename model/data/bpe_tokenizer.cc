// Byte-level BPE behind the Tokenizer interface: added tokens, normalisation, added tokens again, words, merges.
// The tables are immutable and shared between clones; each clone has its own regex state and cache of words.
#include <algorithm>
#include <memory>
#include <unordered_map>
#include <utility>

#include "model/data/added_tokens.h"
#include "model/data/bpe_merger.h"
#include "model/data/error.h"
#include "model/data/splitter.h"
#include "model/data/tokenizer.h"
#include "model/data/tokenizer_json.h"

namespace sink::data {
namespace {

constexpr size_t kMaxCachedWords = 1 << 17;
constexpr size_t kMaxCachedWordBytes = 64;

struct StringHash : std::hash<std::string_view> {
  using is_transparent = void;
};

template <typename Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

struct Tables {
  Tables(BpeSpec parsed, std::string source) : spec(std::move(parsed)), name(std::move(source)), merger(spec) {
    for (const BpeToken& token : spec.vocab) {
      SetText(token.id, token.bytes);
      if (spec.ignore_merges && token.reachable) id_of_word.emplace(token.bytes, token.id);
    }
    for (const AddedToken& token : spec.added) {
      SetText(token.id, token.content);
      AddedTokenFinder& finder = token.normalized ? normalized : raw;
      finder.Add(token.normalized && spec.nfc ? NormalizeNfc(token.content) : token.content, token.id);
    }
  }

  void SetText(int32_t id, const std::string& text) {
    if (id >= static_cast<int64_t>(text_of_id.size())) text_of_id.resize(id + 1);
    text_of_id[id] = text;
  }

  BpeSpec spec;
  std::string name;
  BpeMerger merger;
  AddedTokenFinder raw, normalized;
  std::vector<std::string> text_of_id;
  StringMap<int32_t> id_of_word;  // of the whole vocabulary, with ignore_merges
};

class BpeTokenizer : public Tokenizer {
 public:
  explicit BpeTokenizer(std::shared_ptr<const Tables> tables)
      : tables_(std::move(tables)), splitter_(tables_->spec.patterns, tables_->name) {}

  void Encode(std::string_view text, std::vector<int32_t>* ids) override {
    CheckUtf8(text);
    const auto token = [&](int32_t id) { ids->push_back(id); };
    tables_->raw.Split(
        text,
        [&](std::string_view piece) {
          std::string normalized;
          if (tables_->spec.nfc) {
            normalized = NormalizeNfc(piece);
            piece = normalized;
          }
          tables_->normalized.Split(
              piece, [&](std::string_view part) { EncodePart(part, ids); }, token);
        },
        token);
  }

  std::string Decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (id < 0 || id >= vocab_size()) {
        throw DataError("id " + std::to_string(id) + " is outside the tokenizer's " + std::to_string(vocab_size()));
      }
      text += tables_->text_of_id[id];
    }
    return text;
  }

  int64_t vocab_size() const override { return static_cast<int64_t>(tables_->text_of_id.size()); }
  int32_t eos_id() const override { return tables_->spec.eos_id; }
  std::unique_ptr<Tokenizer> Clone() const override { return std::make_unique<BpeTokenizer>(tables_); }

 private:
  // Text without added tokens, normalised.
  void EncodePart(std::string_view text, std::vector<int32_t>* ids) {
    std::string prefixed;
    if (tables_->spec.add_prefix_space && !text.starts_with(' ')) {
      prefixed.assign(1, ' ').append(text);
      text = prefixed;
    }
    words_.clear();
    splitter_.Split(text, &words_);
    for (const std::string_view word : words_) EncodeWord(word, ids);
  }

  void EncodeWord(std::string_view word, std::vector<int32_t>* ids) {
    if (const auto cached = cache_.find(word); cached != cache_.end()) {
      ids->insert(ids->end(), cached->second.begin(), cached->second.end());
      return;
    }
    std::vector<int32_t> encoded;
    if (const auto whole = tables_->id_of_word.find(word); whole != tables_->id_of_word.end()) {
      encoded.push_back(whole->second);
    } else {
      tables_->merger.Merge(word, &encoded);
    }
    ids->insert(ids->end(), encoded.begin(), encoded.end());
    if (word.size() > kMaxCachedWordBytes) return;
    if (cache_.size() >= kMaxCachedWords) cache_.clear();
    cache_.emplace(word, std::move(encoded));
  }

  std::shared_ptr<const Tables> tables_;
  Splitter splitter_;
  StringMap<std::vector<int32_t>> cache_;
  std::vector<std::string_view> words_;
};

}  // namespace

std::unique_ptr<Tokenizer> NewBpeTokenizer(std::string_view json, const std::string& name) {
  return std::make_unique<BpeTokenizer>(std::make_shared<const Tables>(ParseTokenizerJson(json, name), name));
}

}  // namespace sink::data
