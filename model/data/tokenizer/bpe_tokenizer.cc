// BPE from a tokenizer.json behind the Tokenizer interface: added tokens, normalisation, added tokens again, words,
// symbols (bytes, or characters), merges.
// The tables are immutable and shared between clones; each clone has its own regex state and cache of words.
#include <algorithm>
#include <array>
#include <memory>
#include <unordered_map>
#include <utility>

#include "model/base/data_error.h"
#include "model/data/tokenizer/added_tokens.h"
#include "model/data/tokenizer/bpe_merger.h"
#include "model/data/tokenizer/space_marks.h"
#include "model/data/tokenizer/splitter.h"
#include "model/data/tokenizer/tokenizer.h"
#include "model/data/tokenizer/tokenizer_json.h"
#include "model/data/tokenizer/unicode.h"
#include "model/data/tokenizer/word_cache.h"

namespace sink::data {
namespace {

struct StringHash : std::hash<std::string_view> {
  using is_transparent = void;
};

using IdOfText = std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>>;

std::vector<MergeRule> RulesOf(const BpeSpec& spec) {
  std::vector<MergeRule> rules;
  for (const BpeMerge& merge : spec.merges) {
    rules.push_back(
        {.left = merge.left, .right = merge.right, .merged = merge.merged, .rank = static_cast<int32_t>(rules.size())});
  }
  return rules;
}

struct BpeTables {
  BpeTables(BpeSpec parsed, std::string source)
      : spec(std::move(parsed)), name(std::move(source)), merger(RulesOf(spec)) {
    mark = spec.metaspace ? spec.metaspace->mark : std::string(kSpaceMark);
    for (const BpeToken& token : spec.vocab) {
      if (token.reachable && (spec.ignore_merges || !spec.byte_level)) id_of_text.emplace(token.bytes, token.id);
    }
    id_of_byte.fill(-1);
    for (const BpeToken& token : spec.vocab) {
      if (spec.byte_level && token.reachable && token.bytes.size() == 1) {
        id_of_byte[static_cast<unsigned char>(token.bytes[0])] = token.id;
      }
    }
    for (int byte = 0; spec.byte_fallback && byte < 256; ++byte) {
      if (const auto found = id_of_text.find(ByteTokenText(byte)); found != id_of_text.end()) {
        id_of_byte[byte] = found->second;
      }
    }
    SetTexts();
    for (const AddedToken& token : spec.added) {
      AddedTokenFinder& finder = token.normalized ? normalized : raw;
      finder.Add(token.normalized ? Normalize(spec.normalizer, token.content) : token.content, token.id, token.lstrip,
                 token.rstrip);
    }
    // No merge reaches across the beginning of a run of marks, so that each of them may begin a word.
    cut_at_marks = !spec.byte_level && !spec.ignore_merges && id_of_text.contains(mark) &&
                   std::all_of(spec.merges.begin(), spec.merges.end(),
                               [&](const BpeMerge& merge) { return !HoldsInnerMark(TextOf(merge.merged), mark); });
  }

  // What ids are written as.
  void SetTexts() {
    const auto set = [&](int32_t id, std::string text) {
      if (id >= static_cast<int64_t>(text_of_id.size())) text_of_id.resize(id + 1);
      text_of_id[id] = std::move(text);
    };
    for (const BpeToken& token : spec.vocab) {
      set(token.id, spec.byte_level ? token.bytes : ReplaceAll(token.bytes, mark, " "));
    }
    for (const AddedToken& token : spec.added) set(token.id, token.content);
    for (int byte = 0; spec.byte_fallback && byte < 256; ++byte) {
      if (id_of_byte[byte] >= 0) set(id_of_byte[byte], std::string(1, static_cast<char>(byte)));
    }
  }

  // A token of the vocabulary, as the file has it.
  std::string_view TextOf(int32_t id) const {
    const auto token = std::lower_bound(spec.vocab.begin(), spec.vocab.end(), id,
                                        [](const BpeToken& each, int32_t wanted) { return each.id < wanted; });
    return token->bytes;
  }

  BpeSpec spec;
  std::string name;
  BpeMerger merger;
  AddedTokenFinder raw, normalized;
  std::string mark;  // of spaces, over characters
  bool cut_at_marks = false;
  std::array<int32_t, 256> id_of_byte;  // byte-level: of all; over characters: to fall back on; -1: none
  IdOfText id_of_text;                  // of the vocabulary; byte-level only with ignore_merges
  std::vector<std::string> text_of_id;
};

class BpeTokenizer : public Tokenizer {
 public:
  explicit BpeTokenizer(std::shared_ptr<const BpeTables> tables)
      : tables_(std::move(tables)), spec_(tables_->spec), splitter_(spec_.patterns, tables_->name) {}

  void Encode(std::string_view text, std::vector<int32_t>* ids) override {
    CheckUtf8(text);
    const auto token = [&](int32_t id) { ids->push_back(id); };
    tables_->raw.Split(
        text,
        [&](std::string_view piece) {
          const bool first = piece.data() == text.data();
          std::string changed;
          if (NeedsNormalizing(piece)) {
            changed = Normalize(spec_.normalizer, piece);
            piece = changed;
          }
          tables_->normalized.Split(
              piece, [&](std::string_view part) { EncodePart(part, first && part.data() == piece.data(), ids); },
              token);
        },
        token);
  }

  std::string Decode(std::span<const int32_t> ids) const override {
    std::string text = JoinTexts(ids, tables_->text_of_id);
    // The space that encoding puts before a text.
    if (!spec_.byte_level && text.starts_with(' ')) text.erase(0, 1);
    return text;
  }

  int32_t FindToken(std::string_view text) const override {
    const auto& texts = tables_->text_of_id;
    const auto found = std::find(texts.begin(), texts.end(), text);
    return found == texts.end() ? -1 : static_cast<int32_t>(found - texts.begin());
  }

  int64_t vocab_size() const override { return static_cast<int64_t>(tables_->text_of_id.size()); }
  int32_t eos_id() const override {
    if (spec_.eos_id) return *spec_.eos_id;
    throw DataError(tables_->name + ": no added token <|endoftext|>, <|end_of_text|> or </s> to end documents with");
  }
  std::optional<int32_t> bos_id() const override { return spec_.bos_id; }
  std::unique_ptr<Tokenizer> Clone() const override { return std::make_unique<BpeTokenizer>(tables_); }

 private:
  bool NeedsNormalizing(std::string_view text) const {
    return std::any_of(spec_.normalizer.begin(), spec_.normalizer.end(), [&](const NormalizerStep& step) {
      return step.kind != NormalizerStep::Kind::kNfc || !IsSurelyNfc(text);
    });
  }

  // Text without added tokens, normalised; first: the input begins with it.
  void EncodePart(std::string_view text, bool first, std::vector<int32_t>* ids) {
    std::string changed;
    words_.clear();
    if (spec_.metaspace) {
      changed = WithMarks(text, first);
      text = changed;
    } else if (spec_.add_prefix_space && !text.starts_with(' ')) {
      changed.assign(1, ' ').append(text);
      text = changed;
    }
    if (spec_.byte_level) {
      splitter_.Split(text, &words_);
    } else if (spec_.metaspace && spec_.metaspace->split) {
      CutAtMarks(text, tables_->mark, Cut::kMarks, &words_);
    } else if (tables_->cut_at_marks) {
      CutAtMarks(text, tables_->mark, Cut::kRuns, &words_);
    } else {
      words_.push_back(text);
    }
    for (const std::string_view word : words_) EncodeWord(word, ids);
  }

  std::string WithMarks(std::string_view text, bool first) const {
    const Metaspace& metaspace = *spec_.metaspace;
    std::string marked = ReplaceAll(text, " ", metaspace.mark);
    const bool prepend =
        metaspace.prepend == Metaspace::Prepend::kAlways || (metaspace.prepend == Metaspace::Prepend::kFirst && first);
    if (prepend && !marked.starts_with(metaspace.mark)) marked.insert(0, metaspace.mark);
    return marked;
  }

  void EncodeWord(std::string_view word, std::vector<int32_t>* ids) {
    if (cache_.Find(word, ids)) return;
    symbols_.clear();
    const bool whole = spec_.ignore_merges && tables_->id_of_text.contains(word);
    if (whole) {
      symbols_.push_back(tables_->id_of_text.find(word)->second);
    } else if (spec_.byte_level) {
      AppendBytes(word);
    } else {
      AppendCharacters(word);
    }
    if (!whole) symbols_.resize(tables_->merger.Merge(symbols_));
    ids->insert(ids->end(), symbols_.begin(), symbols_.end());
    cache_.Add(word, symbols_);
  }

  // Every byte as its token, else as unknown.
  void AppendBytes(std::string_view word) {
    bool unknown = false;  // the one before
    for (const char c : word) {
      const int32_t id = ByteId(c);
      if (id >= 0) {
        symbols_.push_back(id);
      } else if (!unknown || !spec_.fuse_unk) {
        AppendUnknown();
      }
      unknown = id < 0;
    }
  }

  void AppendUnknown() {
    if (spec_.unk_id) symbols_.push_back(*spec_.unk_id);
  }

  // Every character as its token, else as its bytes' tokens, else as unknown.
  void AppendCharacters(std::string_view word) {
    bool unknown = false;  // one is owed: `tokenizers` writes it when the next token comes, and not before bytes
    for (size_t i = 0, end; i < word.size(); i = end) {
      end = DecodeChar(word, i).end;
      const std::string_view character = word.substr(i, end - i);
      if (const auto found = tables_->id_of_text.find(character); found != tables_->id_of_text.end()) {
        if (unknown) AppendUnknown();
        unknown = false;
        symbols_.push_back(found->second);
      } else if (std::all_of(character.begin(), character.end(), [&](char c) { return ByteId(c) >= 0; })) {
        for (const char c : character) symbols_.push_back(ByteId(c));
      } else {
        if (unknown && !spec_.fuse_unk) AppendUnknown();
        unknown = true;
      }
    }
    if (unknown) AppendUnknown();
  }

  int32_t ByteId(char c) const { return tables_->id_of_byte[static_cast<unsigned char>(c)]; }

  std::shared_ptr<const BpeTables> tables_;
  const BpeSpec& spec_;
  Splitter splitter_;
  WordCache cache_;
  std::vector<std::string_view> words_;
  std::vector<int32_t> symbols_;
};

}  // namespace

std::unique_ptr<Tokenizer> NewBpeTokenizer(BpeSpec spec, const std::string& name) {
  return std::make_unique<BpeTokenizer>(std::make_shared<const BpeTables>(std::move(spec), name));
}

std::unique_ptr<Tokenizer> NewBpeTokenizer(std::string_view json, const std::string& name) {
  return NewBpeTokenizer(ParseTokenizerJson(json, name), name);
}

}  // namespace sink::data
