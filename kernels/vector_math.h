// Elementary functions and reductions that the compiler can vectorise inside a SINK_MULTIVERSION function. Pure; any
// thread.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/eight.h"
#include "kernels/multiversion.h"

namespace sink::kernels {

// e^x within 2 units in the last place for x in [-87, 88]; clamped to that range outside it, NaN for NaN.
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its series to the 7th power (remainder 5e-9), 2^n by the exponent bits.
SINK_INLINE float Exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float scaled = x * 1.44269504f;
  const int32_t n = static_cast<int32_t>(scaled + (scaled < 0 ? -0.5f : 0.5f));
  const float whole = static_cast<float>(n), r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
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

// Each x becomes e^x by the formula of Exp, for x that is at most 0 but for rounding, which saves two comparisons. Step
// by step for all of them: while the steps of one wait for each other, a processor's queue is too short to find those
// of the next.
template <int64_t Count>
SINK_INLINE void ReplaceByExp(Eight (&x)[Count]) {
  constexpr float kSeries[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
  Eight series[Count];
  EightInts n[Count];
#pragma GCC unroll 8
  for (int64_t i = 0; i < Count; ++i) x[i] = x[i] < -87.0f ? Eight{} - 87.0f : x[i];
#pragma GCC unroll 8
  for (int64_t i = 0; i < Count; ++i) n[i] = __builtin_convertvector(x[i] * 1.44269504f - 0.5f, EightInts);
#pragma GCC unroll 8
  for (int64_t i = 0; i < Count; ++i) {
    const Eight whole = __builtin_convertvector(n[i], Eight);
    x[i] = (x[i] - whole * 0.693359375f) + whole * 2.12194440e-4f;
    series[i] = Eight{} + 1.0f / 5040;
  }
#pragma GCC unroll 8
  for (const float coefficient : kSeries)
#pragma GCC unroll 8
    for (int64_t i = 0; i < Count; ++i) series[i] = series[i] * x[i] + coefficient;
#pragma GCC unroll 8
  for (int64_t i = 0; i < Count; ++i) {
    const EightInts bits = (n[i] + 127) << 23;
    x[i] = series[i] * reinterpret_cast<const Eight&>(bits);
  }
}

// ln x within 2e-7 (1 + |ln x|) for normal x > 0, NaN for NaN. x = 2^n m with m in [1 / sqrt 2, sqrt 2);
// ln m = 2 atanh t, t = (m - 1) / (m + 1), by its series to the 9th power (remainder 7e-10).
SINK_INLINE float Log(float x) {
  constexpr int32_t kRootHalf = 0x3f3504f3;  // the bits of 1 / sqrt 2
  const int32_t bits = std::bit_cast<int32_t>(x), n = (bits - kRootHalf) >> 23;
  const float m = std::bit_cast<float>(bits - n * (1 << 23)), t = (m - 1.0f) / (m + 1.0f), square = t * t;
  float series = 2.0f / 9;
  series = series * square + 2.0f / 7;
  series = series * square + 2.0f / 5;
  series = series * square + 2.0f / 3;
  series = series * square + 2.0f;
  const float whole = static_cast<float>(n);
  const float logarithm = whole * 0.693359375f + (t * series - whole * 2.12194440e-4f);
  return x != x ? x : logarithm;
}

SINK_INLINE float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

struct Normal {
  float density, cumulative;
};

// phi(x) = e^(-x^2 / 2) / sqrt(2 pi) and Phi(x) = (1 + erf(x / sqrt 2)) / 2, both within 3.5e-7; NaN for NaN. The error
// function is formula 7.1.26 of Abramowitz and Stegun (due to Hastings; 0.7e-7 of the error, the rest is rounding). Its
// complement is used as it stands, so that a small Phi is no difference of numbers near one: 0.2 % off at most for
// x > -5.
SINK_INLINE Normal StandardNormal(float x) {
  const float bell = Exp(-0.5f * x * x);
  const float t = 1.0f / (1.0f + 0.3275911f * 0.707106781f * (x < 0 ? -x : x));
  float series = 1.061405429f;
  series = series * t - 1.453152027f;
  series = series * t + 1.421413741f;
  series = series * t - 0.284496736f;
  series = series * t + 0.254829592f;
  const float tail = 0.5f * series * t * bell;
  return {.density = 0.398942280f * bell, .cumulative = x < 0 ? tail : 1.0f - tail};
}

// The largest of count >= Lanes values, in lanes, because the compiler will not reorder comparisons. The last lanes may
// look at values a second time.
template <int64_t Lanes>
SINK_INLINE float MaxInLanes(const float* x, int64_t count) {
  float lane[Lanes];
  for (int64_t j = 0; j < Lanes; ++j) lane[j] = x[j];
  for (int64_t i = Lanes; i + Lanes <= count; i += Lanes)
    for (int64_t j = 0; j < Lanes; ++j) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
  const float* last = x + count - Lanes;
  for (int64_t j = 0; j < Lanes; ++j) lane[j] = last[j] > lane[j] ? last[j] : lane[j];
  for (int64_t half = Lanes / 2; half > 0; half /= 2)
    for (int64_t j = 0; j < half; ++j) lane[j] = lane[j + half] > lane[j] ? lane[j + half] : lane[j];
  return lane[0];
}

// The largest of count > 0 values; NaNs may be passed over.
SINK_INLINE float Max(const float* x, int64_t count) {
  if (count >= 64) return MaxInLanes<64>(x, count);
  if (count >= 8) return MaxInLanes<8>(x, count);
  float largest = x[0];
  for (int64_t i = 1; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

}  // namespace sink::kernels
