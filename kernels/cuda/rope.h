// Rotary position embedding on CUDA, on the merged rows of queries, keys and values: kernels/rope.h has the
// formula. Launcher: device pointers, dense and row-major; T is float or Bfloat16, arithmetic in float; the call
// returns when the work is queued on `stream` (a cudaStream_t); std::invalid_argument on other shapes,
// std::runtime_error where CUDA refuses. Any thread that owns the stream.
#pragma once

#include <cstdint>

#include "kernels/cuda/types.h"

namespace sink::kernels::cuda {

// Row r of `rows` is at position r % length. Of the first rotated_heads * head_dim values of a row (queries and keys),
// those of each head's first rotated_dims are turned, the others and the rest of the row copied. table_TR: cosines of
// the rotated_dims / 2 angles, then sines, a row for each position. inverse: the other way, which is the gradient.
// y_RW may be x_RW, and then nothing but what turns is touched.
template <typename T>
void Rope(void* stream, const T* x_RW, const float* table_TR, int64_t rows, int64_t length, int64_t width,
          int64_t rotated_heads, int64_t head_dim, int64_t rotated_dims, bool inverse, T* y_RW);

}  // namespace sink::kernels::cuda
