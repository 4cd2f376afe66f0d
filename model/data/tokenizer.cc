// See tokenizer.h.
#include "model/data/tokenizer.h"

#include "model/data/error.h"
#include "model/data/file_io.h"

namespace sink::data {
namespace {

constexpr int32_t kByteEos = 256;
constexpr std::string_view kByteEosText = "<|endoftext|>";

class ByteTokenizer : public Tokenizer {
 public:
  void Encode(std::string_view text, std::vector<int32_t>* ids) override {
    ids->reserve(ids->size() + text.size());
    for (const char c : text) ids->push_back(static_cast<unsigned char>(c));
  }

  std::string Decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (id < 0 || id > kByteEos) throw DataError("id " + std::to_string(id) + " is not a byte nor EOS (256)");
      if (id == kByteEos) {
        text += kByteEosText;
      } else {
        text += static_cast<char>(id);
      }
    }
    return text;
  }

  int64_t vocab_size() const override { return kByteEos + 1; }
  int32_t eos_id() const override { return kByteEos; }
  std::unique_ptr<Tokenizer> Clone() const override { return NewByteTokenizer(); }
};

}  // namespace

std::unique_ptr<Tokenizer> NewByteTokenizer() { return std::make_unique<ByteTokenizer>(); }

std::unique_ptr<Tokenizer> OpenTokenizer(const std::string& kind_or_path) {
  if (kind_or_path == kBytesTokenizer) return NewByteTokenizer();
  return NewBpeTokenizer(ReadWholeFile(kind_or_path, kMaxTokenizerBytes), kind_or_path);
}

}  // namespace sink::data
