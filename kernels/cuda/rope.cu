// RoPE: a thread turns kWidth neighbouring pairs of one head. Bound: memory, a value read and written once; the table
// stays in cache, because the heads of a row share its row.
#include <algorithm>

#include "kernels/cuda/rope.h"
#include "kernels/cuda/values.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kMaxThreads = 256;

template <typename T, int kWidth>
SINK_KERNEL(kMaxThreads)
RopeKernel(const T* x_RW, const float* table_TR, int64_t length, int width, int rotated_heads, int head_dim,
           int rotated_dims, float sign, T* y_RW) {
  const int half = rotated_dims / 2, packs = half / kWidth;
  const T* x = x_RW + BlockX() * width;
  T* y = y_RW + BlockX() * width;
  const float* table = table_TR + BlockX() % length * rotated_dims;
  for (int item = Thread(); item < rotated_heads * packs; item += Threads()) {
    const int angle = item % packs * kWidth;
    const int first = item / packs * head_dim + angle;
    float a[kWidth], b[kWidth], cosine[kWidth], sine[kWidth];
    Load(x + first, a);
    Load(x + first + half, b);
    Load(table + angle, cosine);
    Load(table + half + angle, sine);
    SINK_UNROLL for (int i = 0; i < kWidth; ++i) {
      const float low = a[i], high = b[i];
      a[i] = low * cosine[i] - sign * high * sine[i];
      b[i] = high * cosine[i] + sign * low * sine[i];
    }
    Store(a, y + first);
    Store(b, y + first + half);
  }
  if (x == y) return;
  const int rest = head_dim - rotated_dims, in_heads = rotated_heads * rest;  // what does not turn: first within heads
  for (int i = Thread() * kWidth; i < width - rotated_heads * rotated_dims; i += Threads() * kWidth) {
    const int at = i < in_heads ? i / rest * head_dim + rotated_dims + i % rest : i + rotated_heads * rotated_dims;
    float value[kWidth];
    Load(x + at, value);
    Store(value, y + at);
  }
}

}  // namespace

template <typename T>
void Rope(void* stream, const T* x_RW, const float* table_TR, int64_t rows, int64_t length, int64_t width,
          int64_t rotated_heads, int64_t head_dim, int64_t rotated_dims, bool inverse, T* y_RW) {
  Require(rows >= 0 && length >= 1 && rotated_heads >= 0 && rotated_dims >= 0 && rotated_dims <= head_dim &&
              rotated_dims % 2 == 0 && rotated_heads * head_dim <= width && width <= INT32_MAX,
          "RoPE: an even number of a head's dimensions, heads within the row");
  if (rows == 0 || width == 0) return;
  constexpr int64_t kWidth = kVectorWidth<T>;
  const bool vectorised = IsVectorised(x_RW, width) && IsVectorised(y_RW, width) && IsVectorised(x_RW, head_dim) &&
                          IsVectorised(x_RW, rotated_dims / 2) && IsVectorised(table_TR, rotated_dims / 2);
  const int64_t items = width / 2 / (vectorised ? kWidth : 1);
  const int threads = static_cast<int>(std::clamp<int64_t>(CeilDivide<int64_t>(items, 32) * 32, 32, kMaxThreads));
  const auto kernel = vectorised ? &RopeKernel<T, kWidth> : &RopeKernel<T, 1>;
  Launch("RoPE", kernel, Grid{rows}, threads, 0, stream, x_RW, table_TR, length, static_cast<int>(width),
         static_cast<int>(rotated_heads), static_cast<int>(head_dim), static_cast<int>(rotated_dims),
         inverse ? -1.0f : 1.0f, y_RW);
}

template void Rope(void*, const float*, const float*, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool,
                   float*);
template void Rope(void*, const Bfloat16*, const float*, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool,
                   Bfloat16*);

}  // namespace sink::kernels::cuda
