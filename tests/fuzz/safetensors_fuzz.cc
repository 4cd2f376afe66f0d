// Fuzzes the safetensors parser: it returns views inside the input, or throws ModelError, and nothing else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "model/base/model_error.h"
#include "model/storage/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  try {
    for (const auto& [name, view] : sink::ParseSafetensors(bytes, "input"))
      if (view.data.data() < bytes.data() || view.data.data() + view.data.size() > bytes.data() + size) std::abort();
  } catch (const sink::ModelError&) {
  }
  return 0;
}
