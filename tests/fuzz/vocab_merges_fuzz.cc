// Any bytes as vocab.json, merges.txt and tokenizer_config.json, a zero byte between them: read or refused with a
// DataError.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "model/base/data_error.h"
#include "model/data/tokenizer/tokenizer.h"
#include "model/data/tokenizer/vocab_merges.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sink::data;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t first = bytes.find('\0'), second = first == bytes.npos ? bytes.npos : bytes.find('\0', first + 1);
  VocabMerges files{.vocab = bytes.substr(0, first), .merges = {}, .config = {}};
  if (first != bytes.npos) files.merges = bytes.substr(first + 1, second == bytes.npos ? second : second - first - 1);
  if (second != bytes.npos) files.config = bytes.substr(second + 1);
  try {
    NewBpeTokenizer(TokenizerJsonOf(files, "fuzz"), "fuzz");
  } catch (const DataError&) {
  }
  return 0;
}
