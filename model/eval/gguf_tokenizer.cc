#include "model/eval/gguf_tokenizer.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "model/base/model_error.h"
#include "model/data/tokenizer/word_scanner.h"

namespace sink {
namespace {

using nlohmann::json;

constexpr double kControl = 3, kUserDefined = 4;  // token types

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

}  // namespace

std::unique_ptr<data::Tokenizer> GgufTokenizer(const GgufContent& content, const std::string& name) {
  const auto fail = [&](const std::string& what) { throw ModelError(name + ": " + what); };
  const std::string* model = content.Text("tokenizer.ggml.model");
  if (model == nullptr || *model != "gpt2")
    fail("its tokenizer \"" + (model == nullptr ? "" : model->substr(0, 40)) +
         "\" is not read, gpt2 is; measure it on --probe or --inputs random");
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
