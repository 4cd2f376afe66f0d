// Elementary functions and reductions that the compiler can vectorise inside a SINK_MULTIVERSION function. Pure; any
// thread.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/multiversion.h"

namespace sink::kernels {

// e^x within 2 units in the last place for x in [-87, 88]; clamped to that range outside it, NaN for NaN.
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its series to the 7th power (remainder 5e-9), 2^n by the exponent bits.
SINK_INLINE float Exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float scaled = x * 1.44269504f;
  const int32_t n = static_cast<int32_t>(scaled + (scaled < 0 ? -0.5f : 0.5f));
  const float whole = static_cast<float>(n);
  const float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  float series = 1.0f / 5040;
  series = series * r + 1.0f / 720;
  series = series * r + 1.0f / 120;
  series = series * r + 1.0f / 24;
  series = series * r + 1.0f / 6;
  series = series * r + 0.5f;
  series = series * r + 1.0f;
  series = series * r + 1.0f;
  return series * std::bit_cast<float>((n + 127) << 23);
}

SINK_INLINE float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

// The largest of count > 0 values; NaNs may be passed over. In lanes, because the compiler will not reorder
// comparisons.
SINK_INLINE float Max(const float* x, int64_t count) {
  constexpr int kLanes = 64;
  float lane[kLanes];
  for (int j = 0; j < kLanes; ++j) lane[j] = x[0];
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
  float largest = x[0];
  for (int j = 0; j < kLanes; ++j) largest = lane[j] > largest ? lane[j] : largest;
  for (; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

}  // namespace sink::kernels
