// Any bytes as a tokenizer.json, and as text for a tokenizer that the 256 bytes and a few merges make: read or refused
// with a DataError; what is encoded decodes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "model/data/tokenizer/bpe_trainer.h"
#include "model/base/data_error.h"
#include "model/data/tokenizer/unicode.h"
#include "model/data/tokenizer/tokenizer.h"
#include "model/data/tokenizer/tokenizer_json.h"

namespace {

using namespace sink::data;

std::unique_ptr<Tokenizer> SmallTokenizer() {
  BpeTrainer trainer;
  trainer.Add("the cat and the hat  and   the\n\n\nend 1234 12 é é");
  return NewBpeTokenizer(PrintTokenizerJson(trainer.Train(300, 2)), "small");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::unique_ptr<Tokenizer> tokenizer = SmallTokenizer();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    NewBpeTokenizer(bytes, "fuzz");
  } catch (const DataError&) {
  }
  try {
    std::vector<int32_t> ids;
    tokenizer->Encode(bytes, &ids);
    const bool split = bytes.find("<|endoftext|>") != std::string_view::npos;  // before normalisation
    if (!split && tokenizer->Decode(ids) != NormalizeNfc(bytes)) std::abort();
  } catch (const DataError&) {
  }
  return 0;
}
