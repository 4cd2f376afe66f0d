// Any bytes as vocab.json, merges.txt, tokenizer_config.json, added_tokens.json and config.json, a zero byte between
// them: read or refused with a DataError.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "model/base/data_error.h"
#include "model/data/tokenizer/bos_rule.h"
#include "model/data/tokenizer/tokenizer.h"
#include "model/data/tokenizer/vocab_merges.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sink::data;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::array<std::string_view, 5> parts;
  for (std::string_view& part : parts) {
    const size_t end = bytes.find('\0');
    part = bytes.substr(0, end);
    bytes.remove_prefix(end == bytes.npos ? bytes.size() : end + 1);
  }
  const auto& [vocab, merges, config, added, model] = parts;
  const VocabMerges files{.vocab = vocab, .merges = merges, .config = config, .added = added};
  try {
    auto tokenizer = NewBpeTokenizer(TokenizerJsonOf(files, "fuzz"), "fuzz");
    WithBosRule(std::move(tokenizer), {config, model, /*tokenizer_json=*/size % 2 == 0}, "fuzz");
  } catch (const DataError&) {
  }
  return 0;
}
