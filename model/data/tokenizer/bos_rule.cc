// See bos_rule.h.
#include "model/data/tokenizer/bos_rule.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "model/base/data_error.h"
#include "model/data/tokenizer/special_token.h"

namespace sink::data {
namespace {

using Json = nlohmann::json;

// Another tokenizer with another bos_id.
class BosTokenizer : public Tokenizer {
 public:
  BosTokenizer(std::unique_ptr<Tokenizer> inner, std::optional<int32_t> bos_id)
      : inner_(std::move(inner)), bos_id_(bos_id) {}

  void Encode(std::string_view text, std::vector<int32_t>* ids) override { inner_->Encode(text, ids); }
  std::string Decode(std::span<const int32_t> ids) const override { return inner_->Decode(ids); }
  int32_t FindToken(std::string_view text) const override { return inner_->FindToken(text); }
  int64_t vocab_size() const override { return inner_->vocab_size(); }
  int32_t eos_id() const override { return inner_->eos_id(); }
  std::optional<int32_t> bos_id() const override { return bos_id_; }
  std::unique_ptr<Tokenizer> Clone() const override { return std::make_unique<BosTokenizer>(inner_->Clone(), bos_id_); }

 private:
  std::unique_ptr<Tokenizer> inner_;
  std::optional<int32_t> bos_id_;
};

}  // namespace

std::unique_ptr<Tokenizer> WithBosRule(std::unique_ptr<Tokenizer> tokenizer, std::string_view config,
                                       const std::string& name) {
  try {
    const Json json = Json::parse(config);
    if (!json.is_object()) throw DataError(name + ": not a JSON object");
    const auto rule = json.find("add_bos_token");
    if (rule == json.end() || rule->is_null()) return tokenizer;
    std::optional<int32_t> bos_id;
    if (rule->get<bool>()) {
      const std::string token = SpecialTokenText(json.at("bos_token"));
      bos_id = tokenizer->FindToken(token);
      if (*bos_id < 0) throw DataError(name + ": the tokenizer has no bos_token " + Json(token).dump());
    }
    return std::make_unique<BosTokenizer>(std::move(tokenizer), bos_id);
  } catch (const nlohmann::json::exception& error) {
    throw DataError(name + ": not a tokenizer_config.json (" + error.what() + ")");
  }
}

}  // namespace sink::data
