// MXFP4, the type in which experts of gpt-oss are published: blocks of 32 values of four bits (E2M1) that share a
// scale, a power of two of eight bits (E8M0). Formulas of the OCP Microscaling Formats (MX) specification 1.0,
// sections 5.3.3 and 5.4.1; values and scales are two arrays, as in safetensors files. Needs no Torch. Pure functions;
// any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sink {

inline constexpr int64_t kMxfp4Values = 32;  // of a block
inline constexpr int64_t kMxfp4Bytes = 16;   // of a block, beside its scale

// The values of `count` blocks: two in a byte, the first in its low half, times 2^(scale - 127); NaN where the scale is
// 255.
void ReadMxfp4(const std::byte* blocks, const std::byte* scales, int64_t count, float* values);

}  // namespace sink
