// A SentencePiece model of type BPE behind the Tokenizer interface: normalisation, user-defined pieces, words,
// characters, merges by score. The tables are immutable and shared between clones; each clone has its own cache.
#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

#include "model/base/data_error.h"
#include "model/data/tokenizer/added_tokens.h"
#include "model/data/tokenizer/bpe_merger.h"
#include "model/data/tokenizer/normalizer.h"
#include "model/data/tokenizer/sentencepiece_model.h"
#include "model/data/tokenizer/space_marks.h"
#include "model/data/tokenizer/tokenizer.h"
#include "model/data/tokenizer/unicode.h"
#include "model/data/tokenizer/word_cache.h"

namespace sink::data {
namespace {

// Symbols are what merges join: the pieces by their ids, and after them the characters of pieces that are none.
class Symbols {
 public:
  explicit Symbols(const SentencePieceModel& model) : pieces_(static_cast<int32_t>(model.pieces.size())) {
    for (int32_t id = 0; id < pieces_; ++id) {
      const Piece& piece = model.pieces[id];
      const bool merges = piece.type == PieceType::kNormal || piece.type == PieceType::kUserDefined;
      (merges ? symbol_of_text_ : reserved_).emplace(piece.text, id);
    }
    std::map<float, int32_t, std::greater<>> rank_of_score;
    for (const Piece& piece : model.pieces) rank_of_score[piece.score] = 0;
    int32_t rank = 0;
    for (auto& [score, each] : rank_of_score) each = rank++;
    for (int32_t id = 0; id < pieces_; ++id) {
      const Piece& piece = model.pieces[id];
      if (Find(piece.text) == id) AddRules(piece.text, id, rank_of_score.at(piece.score));
    }
  }

  // The symbol of a character, or -1: it joins nothing.
  int32_t Find(std::string_view character) const {
    const auto found = symbol_of_text_.find(character);
    return found == symbol_of_text_.end() ? -1 : found->second;
  }

  // The id of a piece that is not made by merging, or -1.
  int32_t FindReserved(std::string_view text) const {
    const auto found = reserved_.find(text);
    return found == reserved_.end() ? -1 : found->second;
  }

  int32_t size() const { return pieces_ + static_cast<int32_t>(characters_.size()); }
  std::string_view CharacterOf(int32_t symbol) const {
    return characters_[symbol - pieces_];
  }  // of one that is no piece
  const std::vector<MergeRule>& rules() const { return rules_; }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using SymbolOfText = std::unordered_map<std::string, int32_t, Hash, std::equal_to<>>;

  // A piece can come from any two symbols that spell it.
  void AddRules(std::string_view piece, int32_t id, int32_t rank) {
    for (size_t i = DecodeChar(piece, 0).end; i < piece.size(); i = DecodeChar(piece, i).end) {
      const int32_t left = SymbolOf(piece.substr(0, i)), right = SymbolOf(piece.substr(i));
      if (left >= 0 && right >= 0) rules_.push_back({.left = left, .right = right, .merged = id, .rank = rank});
    }
  }

  int32_t SymbolOf(std::string_view text) {
    if (const int32_t known = Find(text); known >= 0) return known;
    if (DecodeChar(text, 0).end != text.size()) return -1;
    const int32_t symbol = size();
    characters_.emplace_back(text);
    symbol_of_text_.emplace(text, symbol);
    return symbol;
  }

  int32_t pieces_;
  std::vector<std::string> characters_;  // of pieces, that are no pieces
  SymbolOfText symbol_of_text_, reserved_;
  std::vector<MergeRule> rules_;
};

struct SentencePieceTables {
  SentencePieceTables(SentencePieceModel parsed, std::string source)
      : model(std::move(parsed)), name(std::move(source)), symbols(model), merger(symbols.rules()) {
    if (!model.eos_id) throw DataError(name + ": no piece </s> to end documents with");
    mark = model.escape_whitespaces ? kSpaceMark : " ";
    cut_at_marks = symbols.Find(mark) >= 0;
    id_of_byte.fill(-1);
    for (size_t i = 0; i < model.pieces.size(); ++i) {
      const Piece& piece = model.pieces[i];
      const auto id = static_cast<int32_t>(i);
      std::string text = ReplaceAll(piece.text, mark, " ");
      if (piece.type == PieceType::kByte) {
        const int byte = ParseByteToken(piece.text);
        if (byte < 0) throw DataError(name + ": byte piece \"" + piece.text + "\" is none of <0x00> to <0xFF>");
        id_of_byte[byte] = id;
        text.assign(1, static_cast<char>(byte));
      }
      text_of_id.push_back(std::move(text));
      if (piece.type == PieceType::kUserDefined) user_defined.Add(piece.text, id);
      if (HoldsInnerMark(piece.text, mark)) cut_at_marks = false;
    }
    if (model.byte_fallback && std::count(id_of_byte.begin(), id_of_byte.end(), -1) > 0) {
      throw DataError(name + ": byte_fallback without all 256 byte pieces");
    }
  }

  SentencePieceModel model;
  std::string name;
  Symbols symbols;
  BpeMerger merger;
  AddedTokenFinder user_defined;
  std::string mark;           // of spaces
  bool cut_at_marks = false;  // no merge reaches across the beginning of a run of marks
  std::array<int32_t, 256> id_of_byte;
  std::vector<std::string> text_of_id;
};

class SentencePieceTokenizer : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(std::shared_ptr<const SentencePieceTables> tables)
      : tables_(std::move(tables)), model_(tables_->model) {}

  void Encode(std::string_view text, std::vector<int32_t>* ids) override {
    CheckUtf8(text);
    const std::string normalized = WithMarks(text);
    tables_->user_defined.Split(
        normalized, [&](std::string_view piece) { EncodePart(piece, ids); }, [&](int32_t id) { ids->push_back(id); });
  }

  std::string Decode(std::span<const int32_t> ids) const override {
    std::string text = JoinTexts(ids, tables_->text_of_id);
    if (model_.add_dummy_prefix && text.starts_with(' ')) text.erase(0, 1);
    return text;
  }

  int32_t FindToken(std::string_view text) const override {
    const auto& texts = tables_->text_of_id;
    const auto found = std::find(texts.begin(), texts.end(), text);
    return found == texts.end() ? -1 : static_cast<int32_t>(found - texts.begin());
  }

  int64_t vocab_size() const override { return static_cast<int64_t>(model_.pieces.size()); }
  int32_t eos_id() const override { return *model_.eos_id; }
  std::optional<int32_t> bos_id() const override { return model_.bos_id; }
  std::unique_ptr<Tokenizer> Clone() const override { return std::make_unique<SentencePieceTokenizer>(tables_); }

 private:
  // Spaces as marks, with the one before the text. What trims its end sees marks, so a written mark is a space to it.
  std::string WithMarks(std::string_view text) const {
    const std::string& mark = tables_->mark;
    std::string kept;
    if (model_.remove_extra_whitespaces) {
      for (const char c : text) {
        if (c != ' ' || (!kept.empty() && kept.back() != ' ')) kept += c;
      }
      text = kept;
    }
    if (text.empty()) return "";
    std::string marked = (model_.add_dummy_prefix ? mark : "") + ReplaceAll(text, " ", mark);
    while (model_.remove_extra_whitespaces && marked.ends_with(mark)) marked.resize(marked.size() - mark.size());
    return marked;
  }

  void EncodePart(std::string_view text, std::vector<int32_t>* ids) {
    words_.clear();
    if (tables_->cut_at_marks) {
      CutAtMarks(text, tables_->mark, Cut::kRuns, &words_);
    } else {
      words_.push_back(text);
    }
    for (const std::string_view word : words_) EncodeWord(word, ids);
  }

  void EncodeWord(std::string_view word, std::vector<int32_t>* ids) {
    if (cache_.Find(word, ids)) return;
    symbols_.clear();
    characters_.clear();
    for (size_t i = 0, end; i < word.size(); i = end) {
      end = DecodeChar(word, i).end;
      const std::string_view character = word.substr(i, end - i);
      const int32_t symbol = tables_->symbols.Find(character);
      // What joins nothing gets a number of this word's own, beyond those that have rules.
      symbols_.push_back(symbol >= 0 ? symbol : tables_->symbols.size() + static_cast<int32_t>(characters_.size()));
      if (symbol < 0) characters_.push_back(character);
    }
    symbols_.resize(tables_->merger.Merge(symbols_));
    const size_t begin = ids->size();
    WriteIds(ids);
    cache_.Add(word, std::span(*ids).subspan(begin));
  }

  void WriteIds(std::vector<int32_t>* ids) const {
    const Symbols& symbols = tables_->symbols;
    bool after_unknown = false;  // unknown characters in a row give one id
    for (const int32_t symbol : symbols_) {
      const bool is_piece = symbol < vocab_size();
      const std::string_view character = is_piece                  ? ""
                                         : symbol < symbols.size() ? symbols.CharacterOf(symbol)
                                                                   : characters_[symbol - symbols.size()];
      const int32_t id = is_piece ? symbol : symbols.FindReserved(character);
      if (id >= 0) {
        ids->push_back(id);
      } else if (model_.byte_fallback) {
        for (const char c : character) ids->push_back(tables_->id_of_byte[static_cast<unsigned char>(c)]);
      } else if (!after_unknown) {
        ids->push_back(model_.unk_id);
      }
      after_unknown = id < 0;
    }
  }

  std::shared_ptr<const SentencePieceTables> tables_;
  const SentencePieceModel& model_;
  WordCache cache_;
  std::vector<std::string_view> words_, characters_;
  std::vector<int32_t> symbols_;
};

}  // namespace

std::unique_ptr<Tokenizer> NewSentencePieceTokenizer(std::string_view model, const std::string& name) {
  return std::make_unique<SentencePieceTokenizer>(
      std::make_shared<const SentencePieceTables>(ParseSentencePieceModel(model, name), name));
}

}  // namespace sink::data
