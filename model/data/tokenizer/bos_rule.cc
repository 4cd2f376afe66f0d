// See bos_rule.h.
#include "model/data/tokenizer/bos_rule.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "model/base/data_error.h"
#include "model/data/tokenizer/special_token.h"

namespace sink::data {
namespace {

using Json = nlohmann::json;

// Another tokenizer with another rule.
class BosTokenizer : public Tokenizer {
 public:
  BosTokenizer(std::unique_ptr<Tokenizer> inner, BosRule rule) : inner_(std::move(inner)), rule_(std::move(rule)) {}

  void Encode(std::string_view text, std::vector<int32_t>* ids) override { inner_->Encode(text, ids); }
  std::string Decode(std::span<const int32_t> ids) const override { return inner_->Decode(ids); }
  int32_t FindToken(std::string_view text) const override { return inner_->FindToken(text); }
  int64_t vocab_size() const override { return inner_->vocab_size(); }
  int32_t eos_id() const override { return inner_->eos_id(); }
  std::optional<int32_t> bos_id() const override { return rule_.id; }
  BosRule bos_rule() const override { return rule_; }
  std::unique_ptr<Tokenizer> Clone() const override { return std::make_unique<BosTokenizer>(inner_->Clone(), rule_); }

 private:
  std::unique_ptr<Tokenizer> inner_;
  BosRule rule_;
};

// A configuration's field as text; "" where it has none.
std::string TextOf(const Json& config, const char* field) {
  const auto found = config.find(field);
  return found != config.end() && found->is_string() ? found->get<std::string>() : "";
}

// What one folder's files say.
class Folder {
 public:
  Folder(const Tokenizer& tokenizer, const BosSources& sources, const std::string& name)
      : tokenizer_(tokenizer),
        config_name_((std::filesystem::path(name) / "tokenizer_config.json").string()),
        config_(Read(sources.tokenizer_config, config_name_)),
        model_(Read(sources.model_config, (std::filesystem::path(name) / "config.json").string())) {
    class_ = TextOf(config_, "tokenizer_class");
    if (class_.ends_with("Fast")) class_.resize(class_.size() - 4);
  }

  BosRule Rule(bool tokenizer_json) const {
    BosRule rule{.token = Token()};
    if (!tokenizer_json) {
      rule.id = ByField(tokenizer_.bos_id());
      if (Field()) rule.reason = "add_bos_token of tokenizer_config.json";
      return rule;
    }
    const std::optional<int32_t> of_file = tokenizer_.bos_id();
    const std::optional<int32_t> fourth = Fourth(of_file), fifth = class_ == kNeox ? std::nullopt : of_file;
    const std::string version = TextOf(model_, "transformers_version");
    const bool old = !version.empty() && version[0] >= '0' && version[0] <= '4' && version.find('.') == 1;
    rule.id = old ? fourth : fifth;
    rule.reason = !old                         ? "the post_processor of tokenizer.json, as in transformers 5"
                  : IsKin() || class_ == kNeox ? "add_bos_token, as in transformers " + version
                                               : "the post_processor of tokenizer.json";
    if (fourth != fifth)
      rule.dispute = std::string("transformers 4 puts ") + (fourth ? "a token" : "nothing") +
                     " before a text of this folder, transformers 5 " + (fifth ? "a token" : "nothing") +
                     (version.empty() ? "; its config.json names no version" : "") + "; --bos yes or no decides";
    return rule;
  }

 private:
  static constexpr const char* kNeox = "GPTNeoXTokenizer";

  static Json Read(std::string_view text, const std::string& name) {
    if (text.empty()) return Json::object();
    Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) throw DataError(name + ": not a JSON object");
    return json;
  }

  // LLaMA's tokenizer or one that is made like it.
  bool IsKin() const {
    static const std::set<std::string> kin = {"LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer",
                                              "CohereTokenizer"};
    return kin.contains(class_) || (class_.empty() && TextOf(model_, "model_type") == "llama");
  }

  std::optional<bool> Field() const {
    const auto field = config_.find("add_bos_token");
    if (field == config_.end() || field->is_null()) return std::nullopt;
    if (!field->is_boolean()) throw DataError(config_name_ + ": add_bos_token must be true or false");
    return field->get<bool>();
  }

  // The folder's bos_token, LLaMA's <s> where it names none, or what the file puts before a text.
  std::optional<int32_t> Token() const {
    const std::string text = Name();
    const int32_t id = tokenizer_.FindToken(text.empty() ? "<s>" : text);
    if (id >= 0 && (!text.empty() || IsKin())) return id;
    return tokenizer_.bos_id();
  }

  std::string Name() const {
    const auto token = config_.find("bos_token");
    if (token == config_.end() || token->is_null()) return "";
    try {
      return SpecialTokenText(*token);
    } catch (const nlohmann::json::exception&) {
      throw DataError(config_name_ + ": bos_token is neither text nor an object with a content");
    }
  }

  std::optional<int32_t> ByField(std::optional<int32_t> otherwise) const {
    const std::optional<bool> field = Field();
    if (!field) return otherwise;
    if (!*field) return std::nullopt;
    if (const std::string name = Name(); !name.empty() && tokenizer_.FindToken(name) < 0)
      throw DataError(config_name_ + ": the tokenizer has no bos_token " + Json(name).dump());
    if (!Token()) throw DataError(config_name_ + ": add_bos_token without a bos_token");
    return Token();
  }

  // What transformers 4 does with a tokenizer.json.
  std::optional<int32_t> Fourth(std::optional<int32_t> of_file) const {
    if (IsKin()) return ByField(Token());
    return class_ == kNeox ? ByField(std::nullopt) : of_file;
  }

  const Tokenizer& tokenizer_;
  std::string config_name_;
  Json config_, model_;
  std::string class_;  // without "Fast"
};

}  // namespace

std::unique_ptr<Tokenizer> WithBosRule(std::unique_ptr<Tokenizer> tokenizer, const BosSources& sources,
                                       const std::string& folder) {
  BosRule rule = Folder(*tokenizer, sources, folder).Rule(sources.tokenizer_json);
  return std::make_unique<BosTokenizer>(std::move(tokenizer), std::move(rule));
}

}  // namespace sink::data
