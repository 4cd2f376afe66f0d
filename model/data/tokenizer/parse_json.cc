// See parse_json.h.
#include "model/data/tokenizer/parse_json.h"

#include "model/base/data_error.h"

namespace sink::data {
namespace {

// Of the brackets that no string holds; a parser's callback for every value would cost large vocabularies more.
bool IsDeeperThan(int levels, std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > levels) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

nlohmann::json ParseTokenizerFile(std::string_view text, const std::string& name) {
  if (IsDeeperThan(kMaxTokenizerDepth, text))
    throw DataError(name + ": nested deeper than " + std::to_string(kMaxTokenizerDepth) + " levels");
  return nlohmann::json::parse(text);
}

}  // namespace sink::data
