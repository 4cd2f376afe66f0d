// See tokenizer_json.h.
#include "model/data/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "model/base/data_error.h"
#include "model/data/tokenizer/byte_alphabet.h"
#include "model/data/tokenizer/parse_json.h"
#include "model/data/tokenizer/word_scanner.h"

namespace sink::data {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr int64_t kMaxId = 1 << 20;
constexpr size_t kMaxPatternBytes = 4096;
constexpr size_t kMaxSteps = 8;           // of normalisation
constexpr size_t kMaxInsertedBytes = 16;  // by one of them, in one place
constexpr size_t kMaxGrowth = 64;         // by all of them
constexpr const char* kEosNames[] = {"<|endoftext|>", "<|end_of_text|>", "</s>"};

// Reads one file; its members know the name for messages and the vocabulary by text.
class TokenizerJsonParser {
 public:
  TokenizerJsonParser(const Json& json, const std::string& name) : json_(json), name_(name) {}

  BpeSpec Parse() {
    // Saved truncation and padding are of whoever called the tokenizer last; texts are cut by who asks for them here.
    if (const Json& part = Part(json_, "normalizer"); !part.is_null()) ReadNormalizer(part);
    if (const Json& part = Part(json_, "pre_tokenizer"); !part.is_null()) ReadPreTokenizer(part);
    spec_.byte_level = byte_level_;
    if (!byte_level_ && !spec_.patterns.empty()) Refuse("a pre_tokenizer that splits without ByteLevel");
    // The decoder follows from the vocabulary.
    if (const Json& part = Part(json_, "post_processor"); !part.is_null()) ReadPostProcessor(part);
    ReadModel(json_.at("model"));
    ReadAddedTokens();
    FindEos();
    return std::move(spec_);
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const { throw DataError(name_ + ": " + what); }
  [[noreturn]] void Refuse(const std::string& part) const {
    Fail(part + " is not supported (only BPE as GPT-2, GPT-NeoX, LLaMA-2, LLaMA-3 and Mistral have it)");
  }

  static const Json& Part(const Json& object, const char* key) {
    static const Json kNull;
    const auto found = object.find(key);
    return found == object.end() ? kNull : *found;
  }
  static std::string TypeOf(const Json& part) { return part.at("type").get<std::string>(); }

  void ReadNormalizer(const Json& part) {
    const std::string type = TypeOf(part);
    if (type == "Sequence") {
      for (const Json& each : part.at("normalizers")) ReadNormalizer(each);
    } else if (type == "NFC") {
      spec_.normalizer.push_back({.kind = NormalizerStep::Kind::kNfc});
    } else if (type == "Prepend") {
      spec_.normalizer.push_back(
          {.kind = NormalizerStep::Kind::kPrepend, .content = part.at("prepend").get<std::string>()});
    } else if (type == "Replace") {
      const Json& pattern = part.at("pattern");
      if (!pattern.contains("String")) Refuse("normalizer Replace without a String");
      spec_.normalizer.push_back({.kind = NormalizerStep::Kind::kReplace,
                                  .pattern = pattern.at("String").get<std::string>(),
                                  .content = part.at("content").get<std::string>()});
      if (spec_.normalizer.back().pattern.empty()) Fail("a Replace of nothing");
    } else {
      Refuse("normalizer " + type);
    }
    size_t growth = 1;
    for (const NormalizerStep& step : spec_.normalizer) {
      if (step.content.size() > kMaxInsertedBytes) Fail("a normalizer inserts too much");
      if (!step.pattern.empty()) growth *= 1 + step.content.size() / step.pattern.size();
      if (growth > kMaxGrowth) Refuse("a normalizer that makes texts so long");
    }
    if (spec_.normalizer.size() > kMaxSteps) Refuse("more than eight normalizers");
  }

  void ReadPreTokenizer(const Json& part) {
    const std::string type = TypeOf(part);
    if (byte_level_) Refuse("pre_tokenizer " + type + " after ByteLevel");
    if (spec_.metaspace) Refuse("pre_tokenizer " + type + " after Metaspace");
    if (type == "Sequence") {
      for (const Json& each : part.at("pretokenizers")) ReadPreTokenizer(each);
    } else if (type == "Split") {
      ReadSplit(part);
    } else if (type == "ByteLevel") {
      byte_level_ = true;
      spec_.add_prefix_space = part.value("add_prefix_space", true);
      if (spec_.add_prefix_space && !spec_.patterns.empty()) Refuse("add_prefix_space after Split");
      if (part.value("use_regex", true)) spec_.patterns.push_back(kGpt2Pattern);
    } else if (type == "Metaspace") {
      ReadMetaspace(part);
    } else if (type == "Digits") {
      AddPattern(part.value("individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)");
    } else {
      Refuse("pre_tokenizer " + type);
    }
  }

  void ReadSplit(const Json& part) {
    if (part.at("behavior") != "Isolated") Refuse("Split with behavior " + part.at("behavior").dump());
    if (part.value("invert", false)) Refuse("Split with invert");
    const Json& pattern = part.at("pattern");
    if (!pattern.contains("Regex")) Refuse("Split without a Regex");
    AddPattern(pattern.at("Regex").get<std::string>());
  }

  void AddPattern(std::string pattern) {
    if (pattern.size() > kMaxPatternBytes) Fail("a Split pattern is too long");
    spec_.patterns.push_back(std::move(pattern));
    if (spec_.patterns.size() > 4) Refuse("more than four Splits");
  }

  void ReadMetaspace(const Json& part) {
    if (!spec_.patterns.empty()) Refuse("pre_tokenizer Metaspace after Split");
    Metaspace metaspace = {.mark = part.at("replacement").get<std::string>(), .split = part.value("split", true)};
    if (metaspace.mark.empty() || metaspace.mark.size() > 4) Fail("a Metaspace whose replacement is no character");
    // Older files say add_prefix_space.
    const bool always = part.value("add_prefix_space", true);
    const std::string scheme = part.value("prepend_scheme", std::string(always ? "always" : "never"));
    if (scheme == "first") {
      metaspace.prepend = Metaspace::Prepend::kFirst;
    } else if (scheme == "never") {
      metaspace.prepend = Metaspace::Prepend::kNever;
    } else if (scheme != "always") {
      Refuse("Metaspace with prepend_scheme " + scheme);
    }
    spec_.metaspace = std::move(metaspace);
  }

  // Post-processors only add special tokens, which Encode leaves out; the one before a text is remembered.
  void ReadPostProcessor(const Json& part) {
    const std::string type = TypeOf(part);
    if (type == "Sequence") {
      for (const Json& each : part.at("processors")) ReadPostProcessor(each);
    } else if (type == "TemplateProcessing") {
      const Json& single = part.at("single");
      if (single.empty() || !single.at(0).contains("SpecialToken")) return;
      const Json& ids =
          part.at("special_tokens").at(single.at(0).at("SpecialToken").at("id").get<std::string>()).at("ids");
      if (ids.size() != 1) Refuse("a TemplateProcessing that opens with several tokens");
      spec_.bos_id = ReadId(ids.at(0), "before a text");
    } else if (type != "ByteLevel") {
      Refuse("post_processor " + type);
    }
  }

  void ReadModel(const Json& model) {
    // Old files leave the type out.
    if (const Json& type = Part(model, "type"); !type.is_null() && type != "BPE") Refuse("model " + type.dump());
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
      const Json& part = Part(model, key);
      if (!part.is_null() && part != "" && part != 0.0) Refuse(std::string("model.") + key);
    }
    spec_.ignore_merges = model.value("ignore_merges", false);
    spec_.byte_fallback = model.value("byte_fallback", false);
    spec_.fuse_unk = model.value("fuse_unk", false);
    if (byte_level_ && spec_.byte_fallback) Refuse("model.byte_fallback with ByteLevel");
    ReadVocab(model.at("vocab"));
    for (const Json& merge : model.at("merges")) ReadMerge(merge);
    if (const Json& unk = Part(model, "unk_token"); !unk.is_null()) {
      const auto found = id_of_text_.find(unk.get<std::string>());
      if (found == id_of_text_.end()) Fail("unk_token " + unk.dump() + " is not in the vocabulary");
      spec_.unk_id = found->second;
    }
    if (!byte_level_ && !spec_.unk_id && !spec_.byte_fallback) Refuse("a model over characters without unk_token");
  }

  void ReadVocab(const Json& vocab) {
    std::unordered_set<int32_t> seen;
    for (const auto& [text, value] : vocab.items()) {
      const int32_t id = ReadId(value, text);
      if (!seen.insert(id).second) Fail("two tokens have the id " + std::to_string(id));
      id_of_text_[text] = id;
      const std::optional<std::string> bytes = byte_level_ ? FromByteAlphabet(text) : text;
      spec_.vocab.push_back({.bytes = bytes.value_or(text), .id = id, .reachable = bytes.has_value()});
    }
    std::sort(spec_.vocab.begin(), spec_.vocab.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  }

  int32_t ReadId(const Json& value, const std::string& text) const {
    if (!value.is_number_integer() || value < 0 || value >= kMaxId) Fail("impossible id of token " + Json(text).dump());
    return value.get<int32_t>();
  }

  void ReadMerge(const Json& merge) {
    std::string left, right;
    if (merge.is_string()) {  // "a b"; neither may hold a space
      const auto text = merge.get<std::string>();
      const size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
        Fail("merge " + merge.dump() + " is not two tokens");
      }
      left = text.substr(0, space), right = text.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2) {
      left = merge[0].get<std::string>(), right = merge[1].get<std::string>();
    } else {
      Fail("a merge is neither a string nor a pair");
    }
    const auto id_of = [&](const std::string& text) {
      const auto found = id_of_text_.find(text);
      if (found == id_of_text_.end()) Fail("merge " + merge.dump() + " needs a token that is not in the vocabulary");
      return found->second;
    };
    spec_.merges.push_back({.left = id_of(left), .right = id_of(right), .merged = id_of(left + right)});
  }

  void ReadAddedTokens() {
    const Json& tokens = Part(json_, "added_tokens");
    if (tokens.is_null()) return;
    for (const Json& token : tokens) {
      AddedToken added = {.content = token.at("content").get<std::string>(),
                          .id = ReadId(token.at("id"), token.at("content").get<std::string>()),
                          .normalized = token.value("normalized", !token.value("special", false)),
                          .lstrip = token.value("lstrip", false),
                          .rstrip = token.value("rstrip", false)};
      if (token.value("single_word", false)) Refuse("added token " + Json(added.content).dump() + " with single_word");
      if (!added.content.empty()) spec_.added.push_back(std::move(added));
    }
  }

  void FindEos() {
    for (const char* name : kEosNames) {
      for (const AddedToken& token : spec_.added) {
        if (token.content == name) {
          spec_.eos_id = token.id;
          return;
        }
      }
    }
  }

  const Json& json_;
  const std::string& name_;
  BpeSpec spec_;
  bool byte_level_ = false;
  std::unordered_map<std::string, int32_t> id_of_text_;
};

}  // namespace

BpeSpec ParseTokenizerJson(std::string_view text, const std::string& name) {
  try {
    const Json json = ParseTokenizerFile(text, name);
    return TokenizerJsonParser(json, name).Parse();
  } catch (const nlohmann::json::exception& error) {
    throw DataError(name + ": not a tokenizer.json (" + error.what() + ")");
  }
}

std::string PrintTokenizerJson(const BpeSpec& spec, bool raw) {
  std::unordered_map<int32_t, std::string> text_of_id;
  OrderedJson vocab = OrderedJson::object(), merges = OrderedJson::array(), added = OrderedJson::array();
  for (const AddedToken& token : spec.added) {
    text_of_id[token.id] = token.content;
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", token.normalized},
                     {"special", !token.normalized}});
  }
  // Appended to the vector beneath: the map's own insertion searches all of it.
  OrderedJson::object_t::Container& words = vocab.get_ref<OrderedJson::object_t&>();
  for (const BpeToken& token : spec.vocab) {
    const auto [entry, is_new] = text_of_id.try_emplace(token.id, ToByteAlphabet(token.bytes));
    words.emplace_back(entry->second, token.id);
  }
  for (const BpeMerge& merge : spec.merges) {
    merges.push_back(text_of_id.at(merge.left) + " " + text_of_id.at(merge.right));
  }
  const OrderedJson byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", !raw}};
  const OrderedJson normalizer = raw ? OrderedJson(nullptr) : OrderedJson{{"type", "NFC"}};
  const OrderedJson json = {{"version", "1.0"},
                            {"truncation", nullptr},
                            {"padding", nullptr},
                            {"added_tokens", added},
                            {"normalizer", normalizer},
                            {"pre_tokenizer", byte_level},
                            {"post_processor", nullptr},
                            {"decoder", byte_level},
                            {"model",
                             {{"type", "BPE"},
                              {"dropout", nullptr},
                              {"unk_token", nullptr},
                              {"continuing_subword_prefix", nullptr},
                              {"end_of_word_suffix", nullptr},
                              {"fuse_unk", false},
                              {"byte_fallback", false},
                              {"vocab", vocab},
                              {"merges", merges}}}};
  return json.dump(1) + "\n";
}

}  // namespace sink::data
