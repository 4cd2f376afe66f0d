// The quantised types of GGUF files that are read, and their values in float: blocks of 32 or 256 values that share
// scales (ggml's own formulas). Needs no Torch. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sink {

struct GgufType {
  uint32_t code = 0;  // in the files
  std::string_view name;
  int64_t values = 0;  // of a block
  size_t bytes = 0;    // of a block
  void (*read)(const std::byte* block, float* values) = nullptr;
};

// Null where the type is unknown. Types that are known and not read have a null `read`.
const GgufType* FindGgufType(uint32_t code);
const GgufType* FindGgufType(std::string_view name);

// `count` values, whole blocks, of a type that is read.
void ReadGgufValues(const GgufType& type, const std::byte* blocks, int64_t count, float* values);

}  // namespace sink
