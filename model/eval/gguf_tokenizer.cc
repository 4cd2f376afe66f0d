#include "model/eval/gguf_tokenizer.h"

#include <bit>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "model/base/model_error.h"
#include "model/data/tokenizer/word_scanner.h"

namespace sink {
namespace {

using nlohmann::json;

constexpr double kControl = 3, kUserDefined = 4, kUnused = 5;  // token types; SentencePiece's numbers

json Split(const char* pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}};
}

// How words are cut, by llama.cpp's name of it; null where that is unknown.
json PreTokenizer(const std::string& cut) {
  const json gpt2 = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  const json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  if (cut == "gpt-2" || cut == "gpt2" || cut == "olmo") return gpt2;
  if (cut == "smollm")
    return {{"type", "Sequence"}, {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", true}}, gpt2}}};
  if (cut == "llama-bpe" || cut == "llama3" || cut == "llama-v3")
    return {{"type", "Sequence"}, {"pretokenizers", {Split(data::kLlama3Pattern), bytes}}};
  return nullptr;
}

// A message of a protocol buffer: the few kinds of fields that SentencePiece's model has.
class Message {
 public:
  void AddNumber(int field, uint64_t value) { Tag(field, 0), Varint(value); }
  void AddFloat(int field, float value) {
    Tag(field, 5);
    for (int i = 0; i < 4; ++i) bytes_ += static_cast<char>(std::bit_cast<uint32_t>(value) >> (8 * i) & 0xFF);
  }
  void AddBytes(int field, std::string_view value) { Tag(field, 2), Varint(value.size()), bytes_ += value; }
  const std::string& bytes() const { return bytes_; }

 private:
  void Tag(int field, uint64_t wire) { Varint(static_cast<uint64_t>(field) << 3 | wire); }
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

[[noreturn]] void Fail(const std::string& name, const std::string& what) { throw ModelError(name + ": " + what); }

// SentencePiece's model of which a GGUF file keeps the pieces: written out again as that, so that one reader checks it.
// Fields are those of sentencepiece_model.proto.
std::unique_ptr<data::Tokenizer> SentencePiece(const GgufContent& content, const std::string& name) {
  const std::vector<std::string>* tokens = content.Texts("tokenizer.ggml.tokens");
  const std::vector<double>*scores = content.Numbers("tokenizer.ggml.scores"),
        *types = content.Numbers("tokenizer.ggml.token_type");
  if (tokens == nullptr || scores == nullptr || types == nullptr || scores->size() != tokens->size() ||
      types->size() != tokens->size())
    Fail(name, "no tokenizer.ggml.tokens, scores and token_type, or of other tokens");
  Message model;
  bool bytes = false;
  for (size_t id = 0; id < tokens->size(); ++id) {
    const double type = (*types)[id];
    if (!(type >= 1 && type <= 6)) Fail(name, "token " + std::to_string(id) + " has an unknown type");
    bytes |= type == 6;
    Message piece;
    piece.AddBytes(1, (*tokens)[id]);
    piece.AddFloat(2, static_cast<float>((*scores)[id]));
    piece.AddNumber(3, static_cast<uint64_t>(type == kUnused ? kControl : type));  // neither is found in a text
    model.AddBytes(1, piece.bytes());
  }
  const auto special = [&](const char* key) -> std::string {
    const std::optional<int64_t> id = content.Integer(key);
    if (!id) return "";
    if (*id < 0 || *id >= static_cast<int64_t>(tokens->size()) || (*types)[static_cast<size_t>(*id)] != kControl)
      Fail(name, std::string(key) + " is no control token of its vocabulary");
    return (*tokens)[static_cast<size_t>(*id)];
  };
  Message trainer, normalizer;
  trainer.AddNumber(3, 2);  // BPE
  trainer.AddNumber(35, bytes ? 1 : 0);
  const bool adds_bos = content.Integer("tokenizer.ggml.add_bos_token").value_or(1) != 0;
  trainer.AddBytes(46, adds_bos ? special("tokenizer.ggml.bos_token_id") : "");
  trainer.AddBytes(47, special("tokenizer.ggml.eos_token_id"));
  normalizer.AddNumber(3, content.Integer("tokenizer.ggml.add_space_prefix").value_or(1) != 0 ? 1 : 0);
  normalizer.AddNumber(4, content.Integer("tokenizer.ggml.remove_extra_whitespaces").value_or(0) != 0 ? 1 : 0);
  normalizer.AddNumber(5, 1);  // a space is written U+2581
  model.AddBytes(2, trainer.bytes());
  model.AddBytes(3, normalizer.bytes());
  return data::NewSentencePieceTokenizer(model.bytes(), name);
}

}  // namespace

std::unique_ptr<data::Tokenizer> GgufTokenizer(const GgufContent& content, const std::string& name) {
  const auto fail = [&](const std::string& what) { Fail(name, what); };
  const std::string* model = content.Text("tokenizer.ggml.model");
  if (model != nullptr && *model == "llama") return SentencePiece(content, name);
  if (model == nullptr || *model != "gpt2")
    fail("its tokenizer \"" + (model == nullptr ? "" : model->substr(0, 40)) +
         "\" is not read, gpt2 and llama are; measure it on --probe or --inputs random");
  const std::string* cut = content.Text("tokenizer.ggml.pre");
  const json pre_tokenizer = PreTokenizer(cut == nullptr ? "gpt-2" : *cut);
  if (pre_tokenizer.is_null()) fail("tokenizer.ggml.pre \"" + cut->substr(0, 40) + "\" is not supported");
  const std::vector<std::string>*tokens = content.Texts("tokenizer.ggml.tokens"),
        *merges = content.Texts("tokenizer.ggml.merges");
  const std::vector<double>* types = content.Numbers("tokenizer.ggml.token_type");
  if (tokens == nullptr || merges == nullptr || (types != nullptr && types->size() != tokens->size()))
    fail("no tokenizer.ggml.tokens and merges, or types of other tokens");
  json vocab = json::object(), added = json::array();
  for (size_t id = 0; id < tokens->size(); ++id) {
    const std::string& token = (*tokens)[id];
    if (!vocab.emplace(token, id).second) fail("a token of its tokenizer occurs twice");
    const double type = types == nullptr ? 0 : (*types)[id];
    if (type == kControl || type == kUserDefined)
      added.push_back({{"id", id}, {"content", token}, {"normalized", false}, {"special", type == kControl}});
  }
  json post_processor;
  const bool llama3 = cut != nullptr && cut->starts_with("llama");
  const std::optional<int64_t> bos = content.Integer("tokenizer.ggml.bos_token_id");
  if (content.Integer("tokenizer.ggml.add_bos_token").value_or(llama3 ? 1 : 0) != 0) {
    if (!bos || *bos < 0 || *bos >= static_cast<int64_t>(tokens->size())) fail("no tokenizer.ggml.bos_token_id");
    post_processor = {{"type", "TemplateProcessing"},
                      {"single", {{{"SpecialToken", {{"id", "bos"}}}}, {{"Sequence", {{"id", "A"}}}}}},
                      {"special_tokens", {{"bos", {{"ids", {*bos}}}}}}};
  }
  const json whole = {{"added_tokens", added},
                      {"pre_tokenizer", pre_tokenizer},
                      {"post_processor", post_processor},
                      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", *merges}, {"ignore_merges", llama3}}}};
  try {
    return data::NewBpeTokenizer(whole.dump(), name);
  } catch (const json::exception&) {
    throw ModelError(name + ": a token of its tokenizer is no UTF-8");
  }
}

}  // namespace sink
