// See vocab_merges.h.
#include "model/data/tokenizer/vocab_merges.h"

#include <nlohmann/json.hpp>
#include <set>

#include "model/base/data_error.h"
#include "model/data/tokenizer/special_token.h"

namespace sink::data {
namespace {

using Json = nlohmann::json;

// Those that a configuration names.
std::set<std::string> SpecialTokens(std::string_view text, bool* prefix_space) {
  if (text.empty()) return {"<|endoftext|>", "</s>"};
  const Json config = Json::parse(text);
  *prefix_space = config.value("add_prefix_space", false);
  std::set<std::string> tokens;
  for (const char* key : {"bos_token", "eos_token", "pad_token", "unk_token"}) {
    const auto token = config.find(key);
    if (token != config.end() && !token->is_null()) tokens.insert(SpecialTokenText(*token));
  }
  return tokens;
}

Json Merges(std::string_view text) {
  Json merges = Json::array();
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
  }
  return merges;
}

}  // namespace

std::string TokenizerJsonOf(const VocabMerges& files, const std::string& name) {
  try {
    const Json vocab = Json::parse(files.vocab);
    if (!vocab.is_object()) throw DataError(name + ": not an object of tokens and their ids");
    for (const auto& [token, id] : vocab.items())
      if (!id.is_number_integer()) throw DataError(name + ": the id of " + Json(token).dump() + " is no whole number");
    bool prefix_space = false;
    Json added = Json::array();
    for (const std::string& token : SpecialTokens(files.config, &prefix_space))
      if (const auto id = vocab.find(token); id != vocab.end())
        added.push_back({{"id", *id}, {"content", token}, {"normalized", false}, {"special", true}});
    const Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"use_regex", true}};
    return Json({{"added_tokens", added},
                 {"pre_tokenizer", byte_level},
                 {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", Merges(files.merges)}}}})
        .dump();
  } catch (const nlohmann::json::exception& error) {
    throw DataError(name + ": not a vocab.json with its merges.txt (" + error.what() + ")");
  }
}

}  // namespace sink::data
