// See vocab_merges.h.
#include "model/data/tokenizer/vocab_merges.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "model/base/data_error.h"
#include "model/data/tokenizer/parse_json.h"
#include "model/data/tokenizer/special_token.h"

namespace sink::data {
namespace {

using Json = nlohmann::json;

// Those that a configuration names.
std::set<std::string> SpecialTokens(const Json& config) {
  std::set<std::string> tokens;
  for (const char* key : {"bos_token", "eos_token", "pad_token", "unk_token"}) {
    const auto token = config.find(key);
    if (token != config.end() && !token->is_null()) tokens.insert(SpecialTokenText(*token));
  }
  if (tokens.empty()) return {"<|endoftext|>", "</s>"};
  return tokens;
}

// An object of tokens and their ids, as vocab.json and added_tokens.json are.
void CheckIds(const Json& ids, const std::string& name) {
  if (!ids.is_object()) throw DataError(name + ": not an object of tokens and their ids");
  for (const auto& [token, id] : ids.items())
    if (!id.is_number_integer()) throw DataError(name + ": the id of " + Json(token).dump() + " is no whole number");
}

// The tokens that a tokenizer.json would list, by what they are written as.
std::map<std::string, Json> AddedTokens(const VocabMerges& files, const Json& config, const Json& vocab,
                                        const std::string& name) {
  std::map<std::string, Json> added;
  const std::set<std::string> special = SpecialTokens(config);
  if (const auto decoder = config.find("added_tokens_decoder"); decoder != config.end())
    for (const auto& [id, token] : decoder->items()) {
      Json entry = token;
      entry["id"] = std::stoll(id);
      added.emplace(token.at("content").get<std::string>(), std::move(entry));
    }
  const auto add = [&](const std::string& token, const Json& id) {
    const bool is_special = special.contains(token);
    added.emplace(token, Json{{"id", id}, {"content", token}, {"normalized", !is_special}, {"special", is_special}});
  };
  const Json beside = files.added.empty() ? Json::object() : ParseTokenizerFile(files.added, name);
  CheckIds(beside, name + ": added_tokens.json");
  for (const auto& [token, id] : beside.items()) add(token, id);
  for (const std::string& token : special)
    if (const auto id = vocab.find(token); id != vocab.end()) add(token, *id);
  return added;
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
    const Json vocab = ParseTokenizerFile(files.vocab, name);
    CheckIds(vocab, name);
    const Json config = files.config.empty() ? Json::object() : ParseTokenizerFile(files.config, name);
    Json added = Json::array();
    for (const auto& [content, token] : AddedTokens(files, config, vocab, name)) added.push_back(token);
    const Json byte_level = {
        {"type", "ByteLevel"}, {"add_prefix_space", config.value("add_prefix_space", false)}, {"use_regex", true}};
    return Json({{"added_tokens", added},
                 {"pre_tokenizer", byte_level},
                 {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", Merges(files.merges)}}}})
        .dump();
  } catch (const std::logic_error&) {  // of stoll
    throw DataError(name + ": an id of the added_tokens_decoder beside it is no number");
  } catch (const nlohmann::json::exception& error) {
    throw DataError(name + ": not a vocab.json with its merges.txt (" + error.what() + ")");
  }
}

}  // namespace sink::data
