// Any bytes as a tokenizer.model: refused with a DataError, or a tokenizer whose ids lie in its vocabulary.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "model/base/data_error.h"
#include "model/data/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sink::data;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const std::unique_ptr<Tokenizer> tokenizer = NewSentencePieceTokenizer(bytes, "fuzz");
    std::vector<int32_t> ids;
    for (const std::string_view text : {std::string_view("Hello  world \u2581 é\n"), bytes}) {
      ids.clear();
      tokenizer->Encode(text, &ids);
      for (const int32_t id : ids) {
        if (id < 0 || id >= tokenizer->vocab_size()) std::abort();
      }
      tokenizer->Decode(ids);
    }
  } catch (const DataError&) {
  }
  return 0;
}
