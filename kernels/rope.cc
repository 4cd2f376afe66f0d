// RoPE on a CPU over the merged query, key and value rows.
#include "kernels/rope.h"

#include <algorithm>

#include "kernels/multiversion.h"

namespace sink::kernels {

SINK_MULTIVERSION void Rope(const float* x_RW, const float* table_TR, int64_t first_row, int64_t last_row,
                            int64_t length, int64_t width, int64_t rotated_heads, int64_t head_dim,
                            int64_t rotated_dims, bool inverse, float* y_RW) {
  const int64_t half = rotated_dims / 2;
  const float sign = inverse ? -1.0f : 1.0f;
  for (int64_t row = first_row; row < last_row; ++row) {
    const float* cosine = table_TR + row % length * rotated_dims;
    const float* sine = cosine + half;
    for (int64_t head = 0; head < rotated_heads; ++head) {
      const float* x = x_RW + row * width + head * head_dim;
      float* y = y_RW + row * width + head * head_dim;
#pragma GCC ivdep
      for (int64_t i = 0; i < half; ++i) {
        const float low = x[i], high = x[i + half];
        y[i] = low * cosine[i] - sign * high * sine[i];
        y[i + half] = high * cosine[i] + sign * low * sine[i];
      }
      if (x_RW != y_RW) std::copy(x + rotated_dims, x + head_dim, y + rotated_dims);
    }
    if (x_RW != y_RW)
      std::copy(x_RW + row * width + rotated_heads * head_dim, x_RW + (row + 1) * width,
                y_RW + row * width + rotated_heads * head_dim);
  }
}

}  // namespace sink::kernels
