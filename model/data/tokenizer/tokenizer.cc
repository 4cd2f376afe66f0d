// See tokenizer.h.
#include "model/data/tokenizer/tokenizer.h"

#include <filesystem>
#include <utility>

#include "model/base/data_error.h"
#include "model/base/or_throw.h"
#include "model/data/tokenizer/bos_rule.h"
#include "model/data/tokenizer/vocab_merges.h"
#include "proto/files/files.h"

namespace sink::data {
namespace {

constexpr int32_t kByteEos = 256;
constexpr std::string_view kByteEosText = "<|endoftext|>";

class ByteTokenizer : public Tokenizer {
 public:
  void Encode(std::string_view text, std::vector<int32_t>* ids) override {
    ids->reserve(ids->size() + text.size());
    for (const char c : text) ids->push_back(static_cast<unsigned char>(c));
  }

  std::string Decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (id < 0 || id > kByteEos) throw DataError("id " + std::to_string(id) + " is not a byte nor EOS (256)");
      if (id == kByteEos) {
        text += kByteEosText;
      } else {
        text += static_cast<char>(id);
      }
    }
    return text;
  }

  int32_t FindToken(std::string_view text) const override {
    if (text.size() == 1) return static_cast<unsigned char>(text[0]);
    return text == kByteEosText ? kByteEos : -1;
  }

  int64_t vocab_size() const override { return kByteEos + 1; }
  int32_t eos_id() const override { return kByteEos; }
  std::unique_ptr<Tokenizer> Clone() const override { return NewByteTokenizer(); }
};

}  // namespace

std::string JoinTexts(std::span<const int32_t> ids, const std::vector<std::string>& text_of_id) {
  std::string text;
  for (const int32_t id : ids) {
    if (id < 0 || id >= static_cast<int64_t>(text_of_id.size())) {
      throw DataError("id " + std::to_string(id) + " is outside the tokenizer's " + std::to_string(text_of_id.size()));
    }
    text += text_of_id[id];
  }
  return text;
}

std::unique_ptr<Tokenizer> NewByteTokenizer() { return std::make_unique<ByteTokenizer>(); }

std::unique_ptr<Tokenizer> NewTokenizer(std::string_view bytes, const std::string& path) {
  return path.ends_with(".model") ? NewSentencePieceTokenizer(bytes, path) : NewBpeTokenizer(bytes, path);
}

std::unique_ptr<Tokenizer> OpenTokenizer(const std::string& kind_or_path) {
  if (kind_or_path == kBytesTokenizer) return NewByteTokenizer();
  const std::filesystem::path path = kind_or_path;
  const auto read = [](const std::filesystem::path& file) {
    return OrThrow<DataError>(files::ReadFile(file, kMaxTokenizerBytes));
  };
  const auto read_beside = [&](const char* name) {  // "" where there is none
    const std::filesystem::path file = std::filesystem::path(path).replace_filename(name);
    return std::filesystem::exists(file) ? read(file) : std::string();
  };
  const std::string config = read_beside("tokenizer_config.json");
  std::string bytes = read(path);
  if (path.filename() == "vocab.json") {
    const std::string merges = read(std::filesystem::path(path).replace_filename("merges.txt"));
    const std::string added = read_beside("added_tokens.json");
    bytes = TokenizerJsonOf({.vocab = bytes, .merges = merges, .config = config, .added = added}, kind_or_path);
  }
  const bool json = path.filename() != "vocab.json" && path.extension() != ".model";
  return WithBosRule(NewTokenizer(bytes, kind_or_path),
                     {.tokenizer_config = config, .model_config = read_beside("config.json"), .tokenizer_json = json},
                     path.parent_path().string());
}

}  // namespace sink::data
