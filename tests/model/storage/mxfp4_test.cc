// MXFP4: every code and every scale against the formulas of the OCP MX specification 1.0.
#include "model/storage/mxfp4.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

namespace sink {
namespace {

// E2M1, section 5.3.3: (-1)^s 2^(e - 1) (1 + m / 2), or (-1)^s m / 2 where e is 0.
double Value(int code) {
  const int sign = code >> 3, exponent = code >> 1 & 3, mantissa = code & 1;
  const double size = exponent == 0 ? mantissa / 2.0 : std::ldexp(1 + mantissa / 2.0, exponent - 1);
  return sign == 1 ? -size : size;
}

TEST(Mxfp4, EveryCodeUnderEveryScaleIsTheSpecificationsValue) {
  std::vector<std::byte> blocks, scales;
  for (int scale = 0; scale < 256; ++scale) {
    scales.push_back(static_cast<std::byte>(scale));
    for (int i = 0; i < kMxfp4Bytes; ++i) blocks.push_back(static_cast<std::byte>(i | (15 - i) << 4));
  }
  std::vector<float> values(256 * kMxfp4Values);
  ReadMxfp4(blocks.data(), scales.data(), 256, values.data());
  for (int scale = 0; scale < 256; ++scale)
    for (int i = 0; i < kMxfp4Values; ++i) {
      const float found = values[static_cast<size_t>(scale * kMxfp4Values + i)];
      const double wanted = std::ldexp(Value(i % 2 == 0 ? i / 2 : 15 - i / 2), scale - 127);
      if (scale == 255)  // E8M0, section 5.4.1
        EXPECT_TRUE(std::isnan(found)) << i;
      else
        EXPECT_EQ(found, static_cast<float>(wanted)) << scale << " " << i;
    }
}

}  // namespace
}  // namespace sink
