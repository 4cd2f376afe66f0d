// Rotary position embedding (Su et al. 2021), rotate-half: the pair (x[i], x[i + D/2]) of a head is turned by the angle
// t * theta^(-2i/D). CPU, floats. No state: any thread; the caller divides the rows among threads, which changes no
// result.
#pragma once

#include <cstdint>

namespace sink::kernels {

// Rows are (sequence, position) pairs in that order: row r is at position r % length. The first rotated_heads * D
// values of a row are turned (queries and keys), the rest of its `width` values copied (values). Of each head the first
// R values are turned, in pairs (x[i], x[i + R/2]), the others copied; R = D but in models that say otherwise.
// table_TR: cosines of the R/2 angles, then sines, a row for each position. inverse: turns the other way, which is also
// the gradient. y may be x.
void Rope(const float* x_RW, const float* table_TR, int64_t first_row, int64_t last_row, int64_t length, int64_t width,
          int64_t rotated_heads, int64_t head_dim, int64_t rotated_dims, bool inverse, float* y_RW);

}  // namespace sink::kernels
