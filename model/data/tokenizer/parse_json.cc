// See parse_json.h.
#include "model/data/tokenizer/parse_json.h"

#include "model/base/data_error.h"
#include "proto/base/json_depth.h"

namespace sink::data {

nlohmann::json ParseTokenizerFile(std::string_view text, const std::string& name) {
  if (IsDeeperThan(kMaxTokenizerDepth, text))
    throw DataError(name + ": nested deeper than " + std::to_string(kMaxTokenizerDepth) + " levels");
  return nlohmann::json::parse(text);
}

}  // namespace sink::data
