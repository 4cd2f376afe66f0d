// The JSON files of a checkpoint that say how it is opened. transformers takes from them where a model's or a
// tokenizer's code is, from anywhere on the Hub ("auto_map", "custom_pipelines"), and runs it for whoever has
// trust_remote_code; so a coordinator takes none that says more than a trainer writes. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sink::run {

inline constexpr char kModelSettings[] = "config.json", kTokenizerSettings[] = "tokenizer_config.json";
inline constexpr size_t kMaxSettingsBytes = 64 << 10;

inline bool IsSettingsFile(std::string_view name) { return name == kModelSettings || name == kTokenizerSettings; }

// What is wrong with the text of a settings file: it is no JSON object, or one that says what no trainer of this
// release or an older one does. Empty: nothing.
std::string FaultInSettings(std::string_view name, std::string_view text);

}  // namespace sink::run
