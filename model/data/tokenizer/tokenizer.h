// What packing and inspecting need of a tokenizer, whatever its kind.
// An object belongs to one thread (it caches); Clone() gives another thread its own, sharing the tables.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sink::data {

struct BpeSpec;

// What stands before a text, and why.
struct BosRule {
  std::optional<int32_t> id;
  std::optional<int32_t> token;  // what would stand there if something did, where that is known
  std::string reason;            // one phrase; "" where the tokenizer's kind alone decides
  std::string dispute;           // a sentence, where versions of transformers disagree
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Appends the ids of text; no EOS. DataError when the kind needs UTF-8 and text is not.
  virtual void Encode(std::string_view text, std::vector<int32_t>* ids) = 0;

  // The text of ids; special tokens are written out, ids outside the vocabulary are an error (DataError). A sequence
  // that was cut inside a character gives bytes that are not UTF-8.
  virtual std::string Decode(std::span<const int32_t> ids) const = 0;

  // The id of the token that is written as text, or -1.
  virtual int32_t FindToken(std::string_view text) const = 0;

  virtual int64_t vocab_size() const = 0;  // one more than the largest id
  virtual int32_t eos_id() const = 0;      // what ends a document; DataError where nothing is known to

  // What the family puts before a text when it measures or generates (LLaMA <s>, OPT </s>; GPT-2 and GPT-NeoX nothing).
  // Encode does not add it.
  virtual std::optional<int32_t> bos_id() const { return std::nullopt; }
  virtual BosRule bos_rule() const { return {.id = bos_id()}; }  // the same with its reasons

  virtual std::unique_ptr<Tokenizer> Clone() const = 0;
};

// The texts of ids, one after another, for kinds that have a text for each id. DataError for an id without one.
std::string JoinTexts(std::span<const int32_t> ids, const std::vector<std::string>& text_of_id);

// Bytes as they are: ids 0..255, and 256 as EOS.
std::unique_ptr<Tokenizer> NewByteTokenizer();

// A tokenizer.json of Hugging Face's `tokenizers`, as far as tokenizer_json.h reads it.
std::unique_ptr<Tokenizer> NewBpeTokenizer(BpeSpec spec, const std::string& name);
std::unique_ptr<Tokenizer> NewBpeTokenizer(std::string_view json, const std::string& name);

// A SentencePiece tokenizer.model, as far as sentencepiece_model.h reads it.
std::unique_ptr<Tokenizer> NewSentencePieceTokenizer(std::string_view model, const std::string& name);

// What a path's bytes are: SentencePiece where it ends in .model, else a tokenizer.json.
std::unique_ptr<Tokenizer> NewTokenizer(std::string_view bytes, const std::string& path);

// "bytes", or the path of a tokenizer.json, tokenizer.model, or vocab.json with a merges.txt beside it (and an
// added_tokens.json). What stands before a text follows bos_rule.h. DataError when a file cannot be read or asks for a
// part that is unknown.
std::unique_ptr<Tokenizer> OpenTokenizer(const std::string& kind_or_path);

inline constexpr char kBytesTokenizer[] = "bytes";
inline constexpr uint64_t kMaxTokenizerBytes = 64 << 20;  // of a tokenizer.json or tokenizer.model

}  // namespace sink::data
