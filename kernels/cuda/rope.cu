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
RopeKernel(T* x_RW, const float* table_TR, int64_t length, int64_t width, int rotated_heads, int head_dim,
           int rotated_dims, float sign) {
  const int half = rotated_dims / 2, packs = half / kWidth;
  T* x = x_RW + BlockX() * width;
  const float* table = table_TR + BlockX() % length * rotated_dims;
  for (int item = Thread(); item < rotated_heads * packs; item += Threads()) {
    const int angle = item % packs * kWidth;
    T* first = x + item / packs * head_dim + angle;
    float a[kWidth], b[kWidth], cosine[kWidth], sine[kWidth];
    Load(first, a);
    Load(first + half, b);
    Load(table + angle, cosine);
    Load(table + half + angle, sine);
    SINK_UNROLL for (int i = 0; i < kWidth; ++i) {
      const float low = a[i], high = b[i];
      a[i] = low * cosine[i] - sign * high * sine[i];
      b[i] = high * cosine[i] + sign * low * sine[i];
    }
    Store(a, first);
    Store(b, first + half);
  }
}

}  // namespace

template <typename T>
void Rope(void* stream, T* x_RW, const float* table_TR, int64_t rows, int64_t length, int64_t width,
          int64_t rotated_heads, int64_t head_dim, int64_t rotated_dims, bool inverse) {
  Require(rows >= 0 && length >= 1 && rotated_heads >= 0 && rotated_dims >= 0 && rotated_dims <= head_dim &&
              rotated_dims % 2 == 0 && rotated_heads * head_dim <= width && width <= INT32_MAX,
          "RoPE: an even number of a head's dimensions, heads within the row");
  if (rows == 0 || rotated_heads == 0 || rotated_dims == 0) return;
  constexpr int64_t kWidth = kVectorWidth<T>;
  const bool vectorised = IsVectorised(x_RW, width) && IsVectorised(x_RW, head_dim) &&
                          IsVectorised(x_RW, rotated_dims / 2) && IsVectorised(table_TR, rotated_dims / 2);
  const int64_t items = rotated_heads * rotated_dims / 2 / (vectorised ? kWidth : 1);
  const int threads = static_cast<int>(std::min<int64_t>(CeilDivide<int64_t>(items, 32) * 32, kMaxThreads));
  const auto kernel = vectorised ? &RopeKernel<T, kWidth> : &RopeKernel<T, 1>;
  Launch("RoPE", kernel, Grid{rows}, threads, 0, stream, x_RW, table_TR, length, width, static_cast<int>(rotated_heads),
         static_cast<int>(head_dim), static_cast<int>(rotated_dims), inverse ? -1.0f : 1.0f);
}

template void Rope(void*, float*, const float*, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool);
template void Rope(void*, Bfloat16*, const float*, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool);

}  // namespace sink::kernels::cuda
