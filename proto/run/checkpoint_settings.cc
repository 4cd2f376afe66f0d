// See checkpoint_settings.h.
#include "proto/run/checkpoint_settings.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "proto/config/hugging_face.h"
#include "proto/config/job_config.h"

namespace sink::run {
namespace {

using Json = nlohmann::json;

// What a trainer writes of a model with a variant, which is all that it may say.
Json ModelSettings() {
  ModelConfig model;
  model.variant.window = 1;
  return Json::parse(PrintHuggingFaceConfig(model, std::nullopt));
}

// As model/train/run/set_tokenizer.cc does.
Json TokenizerSettings() {
  Json all = Json::object();
  for (const char* name : {"tokenizer_class", "eos_token", "add_bos_token", "add_eos_token",
                           "clean_up_tokenization_spaces", "model_max_length", "legacy"})
    all[name] = nullptr;
  return all;
}

}  // namespace

std::string FaultInSettings(std::string_view name, std::string_view text) {
  static const Json model = ModelSettings(), tokenizer = TokenizerSettings();
  const std::string file(name);
  if (text.size() > kMaxSettingsBytes) return file + " is over 64 KiB";
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return file + " is not a JSON object";
  const Json& known = name == kModelSettings ? model : tokenizer;
  for (const auto& [field, value] : json.items()) {
    if (!known.contains(field)) return file + " has a field that no trainer writes";
    // The one that names code.
    if (field == "auto_map" && value != known[field]) return file + " names other code than " + known[field].dump();
  }
  return "";
}

}  // namespace sink::run
