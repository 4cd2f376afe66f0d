// Any bytes as a GGUF file: read or refused with a ModelError. What is read lies inside the bytes, and a model that its
// metadata describe has sizes that fit together.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "model/base/model_error.h"
#include "model/open/gguf_model.h"
#include "model/storage/gguf.h"
#include "model/storage/gguf_blocks.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    const sink::GgufContent content = sink::ParseGguf(bytes, "file");
    for (const auto& [name, view] : content.tensors) {
      if (view.data.data() < bytes.data() || view.data.data() + view.data.size() > bytes.data() + bytes.size())
        std::abort();
      const sink::GgufType* type = sink::FindGgufType(view.dtype);
      if (type == nullptr || view.data.size() % type->bytes != 0) std::abort();
      if (type->read == nullptr || view.data.size() > 1 << 16) continue;
      const auto blocks = static_cast<int64_t>(view.data.size() / type->bytes);
      std::vector<float> values(static_cast<size_t>(blocks * type->values));
      sink::ReadGgufValues(*type, view.data.data(), blocks * type->values, values.data());
    }
    const sink::OpenConfig c = sink::ReadGgufConfig(content, "file");
    if (c.layers < 1 || c.head_dim < 1 || c.heads % c.key_value_heads != 0 || c.ropes[0].dims > c.head_dim ||
        c.norm_epsilon <= 0)
      std::abort();
  } catch (const sink::ModelError&) {
  }
  return 0;
}
