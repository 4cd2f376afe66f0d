#include "model/storage/mxfp4.h"

#include <bit>
#include <limits>

namespace sink {
namespace {

// By code: a sign, two bits of exponent, one of mantissa.
constexpr float kValues[] = {0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,  4.0F,  6.0F,
                             -0.0F, -0.5F, -1.0F, -1.5F, -2.0F, -3.0F, -4.0F, -6.0F};

float Scale(std::byte code) {
  constexpr uint32_t kLeast = 0x00400000;  // 2^-127, which float holds as a denormal number
  const auto exponent = std::to_integer<uint32_t>(code);
  if (exponent == 255) return std::numeric_limits<float>::quiet_NaN();
  return std::bit_cast<float>(exponent == 0 ? kLeast : exponent << 23);
}

}  // namespace

void ReadMxfp4(const std::byte* blocks, const std::byte* scales, int64_t count, float* values) {
  for (int64_t n = 0; n < count; ++n, blocks += kMxfp4Bytes, values += kMxfp4Values) {
    const float scale = Scale(scales[n]);
    for (int64_t i = 0; i < kMxfp4Bytes; ++i) {
      const auto both = std::to_integer<uint32_t>(blocks[i]);
      values[2 * i] = scale * kValues[both & 15];
      values[2 * i + 1] = scale * kValues[both >> 4];
    }
  }
}

}  // namespace sink
