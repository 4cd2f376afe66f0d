// The JSON files of a tokenizer's folder, which is treated as hostile: bounded in depth before anything is built from
// them, for values are read, copied and printed level by level on the stack. Pure; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sink::data {

inline constexpr int kMaxTokenizerDepth = 32;

// DataError, beginning with name, when the text is nested deeper than that; nlohmann's exceptions when it is not JSON.
nlohmann::json ParseTokenizerFile(std::string_view text, const std::string& name);

}  // namespace sink::data
