// Values of either type as floats, several at a time, and sums over a warp or block in a fixed order. Device code on
// the names of device.h.
#pragma once

#include <cstring>

#include "kernels/cuda/device.h"

namespace sink::kernels::cuda {

SINK_DEVICE float ToFloat(float x) { return x; }
SINK_DEVICE float ToFloat(Bfloat16 x) { return FromBits(static_cast<uint32_t>(x.bits) << 16); }

template <typename T>
SINK_DEVICE T FromFloat(float x);
template <>
SINK_DEVICE float FromFloat<float>(float x) {
  return x;
}
template <>
SINK_DEVICE Bfloat16 FromFloat<Bfloat16>(float x) {
  return {static_cast<uint16_t>(PackBfloat16(x, 0.0f))};
}

// kWidth neighbours, 16 bytes an instruction where there are as many: the address must be aligned to that.
template <typename T, int kWidth>
SINK_DEVICE void Load(const T* from, float (&x)[kWidth]) {
  constexpr int kAtOnce = sizeof(T) * kWidth > 16 ? 16 / static_cast<int>(sizeof(T)) : kWidth;
  struct {
    T value[kAtOnce];
  } pack;
  SINK_UNROLL for (int first = 0; first < kWidth; first += kAtOnce) {
    const auto bits = LoadBits<sizeof(pack)>(from + first);
    std::memcpy(&pack, &bits, sizeof(pack));
    SINK_UNROLL for (int i = 0; i < kAtOnce; ++i) x[first + i] = ToFloat(pack.value[i]);
  }
}
template <int kWidth>
SINK_DEVICE void Store(const float (&x)[kWidth], float* to) {
  constexpr int kAtOnce = kWidth > 4 ? 4 : kWidth;
  typename BitsOf<4 * kAtOnce>::Type bits;
  SINK_UNROLL for (int first = 0; first < kWidth; first += kAtOnce) {
    std::memcpy(&bits, &x[first], sizeof(bits));
    StoreBits<sizeof(bits)>(to + first, bits);
  }
}
template <int kWidth>
SINK_DEVICE void Store(const float (&x)[kWidth], Bfloat16* to) {
  if constexpr (kWidth == 1) {
    *to = FromFloat<Bfloat16>(x[0]);
  } else {
    static_assert(kWidth <= 8);
    uint32_t pairs[kWidth / 2];
    SINK_UNROLL for (int i = 0; i < kWidth / 2; ++i) pairs[i] = PackBfloat16(x[2 * i], x[2 * i + 1]);
    typename BitsOf<sizeof(pairs)>::Type bits;
    std::memcpy(&bits, &pairs, sizeof(pairs));
    StoreBits<sizeof(pairs)>(to, bits);
  }
}

// How many values fill 16 bytes, and whether rows of `columns` from `pointer` on can be read so.
template <typename T>
constexpr int kVectorWidth = 16 / static_cast<int>(sizeof(T));
template <typename T>
bool IsVectorised(const T* pointer, int64_t columns) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0 && columns % kVectorWidth<T> == 0;
}

template <typename T>
SINK_DEVICE T WarpSum(T x) {
  SINK_UNROLL for (int mask = 16; mask > 0; mask /= 2) x += ShuffleXor(x, mask);
  return x;
}

// Sums over the block of kCount values a thread, returned to every thread. `shared` has room for kCount values a warp,
// and may be used for the next sum at once. All threads must call.
template <int kCount, typename T>
SINK_DEVICE void BlockSum(T (&x)[kCount], T* shared) {
  SINK_UNROLL for (int i = 0; i < kCount; ++i) x[i] = WarpSum(x[i]);
  Barrier();  // `shared` may still be read by an earlier sum
  if (Lane() == 0) {
    SINK_UNROLL for (int i = 0; i < kCount; ++i) shared[Warp() * kCount + i] = x[i];
  }
  Barrier();
  SINK_UNROLL for (int i = 0; i < kCount; ++i) x[i] = T{};
  for (int warp = 0; warp < Threads() / 32; ++warp) {
    SINK_UNROLL for (int i = 0; i < kCount; ++i) x[i] += shared[warp * kCount + i];
  }
}

}  // namespace sink::kernels::cuda
