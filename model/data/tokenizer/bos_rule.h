// Whether a text begins with a token of its own, as the tokenizer_config.json of a model directory says it: it can
// overrule what the tokenizer's file says. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "model/data/tokenizer/tokenizer.h"

namespace sink::data {

// The tokenizer with the bos_id that the configuration asks for: with "add_bos_token": true the id of its "bos_token",
// with false none, otherwise what the tokenizer has itself. DataError, beginning with name, when the configuration is
// no JSON object or its bos_token is no token.
std::unique_ptr<Tokenizer> WithBosRule(std::unique_ptr<Tokenizer> tokenizer, std::string_view config,
                                       const std::string& name);

}  // namespace sink::data
