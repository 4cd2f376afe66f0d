// Whether a text begins with a token of its own. What a folder's files say about it depends on the version of
// transformers that reads them: with a tokenizer.json version 5 heeds its post_processor alone (and never puts a token
// before GPT-NeoX's texts), version 4 the add_bos_token of tokenizer_config.json for the tokenizers that are LLaMA's
// kin. A folder is read as the version did that its config.json names. Without a tokenizer.json add_bos_token decides,
// or else the tokenizer's kind. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "model/data/tokenizer/tokenizer.h"

namespace sink::data {

struct BosSources {
  std::string_view tokenizer_config;  // "" where there is none, as below
  std::string_view model_config;      // config.json
  bool tokenizer_json = false;        // the tokenizer is one
};

// The tokenizer with that rule. DataError, naming the file in `folder`, when a configuration is no JSON object or names
// a bos_token that is asked for and is no token.
std::unique_ptr<Tokenizer> WithBosRule(std::unique_ptr<Tokenizer> tokenizer, const BosSources& sources,
                                       const std::string& folder);

}  // namespace sink::data
