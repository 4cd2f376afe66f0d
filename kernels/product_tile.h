// A tile of a product, which stays in registers while a row of b and a number of each row of a are read for each k:
// twelve sums, six rows by two registers, hide how long one addition takes and leave room for what is read. To be
// inlined into the products (small_product.cc, panel_product.cc). Pure; any thread.
#pragma once

#include <cstdint>

#include "kernels/eight.h"
#include "kernels/multiversion.h"

namespace sink::kernels {

constexpr int64_t kTileRows = 6, kTileColumns = 2 * kEight;  // of the widest tile

// c[m, n] = alpha sum_k a[m a_row + k a_column] b[k b_row + n], or that added to c, of Rows rows and Eights registers
// of eight and Fours of four columns. The sum over k is in order, so that its bits do not depend on the tile.
template <int64_t Rows, int64_t Eights, int64_t Fours>
SINK_INLINE void Tile(const float* a, int64_t a_row, int64_t a_column, const float* b, int64_t b_row, int64_t inner,
                      float alpha, bool add, float* __restrict c, int64_t c_row) {
  constexpr int64_t kHalf = (Rows + 1) / 2;  // rows that one pointer reaches: an address multiplies by 1, 2, 4 or 8
  Eight eights[Rows][Eights + 1] = {};
  Four fours[Rows] = {};
  const float* half = a + kHalf * a_row;
  for (int64_t k = 0; k < inner; ++k, a += a_column, half += a_column, b += b_row) {
    Eight eight[Eights + 1];
#pragma GCC unroll 2
    for (int64_t n = 0; n < Eights; ++n) eight[n] = *reinterpret_cast<const Eight*>(b + n * kEight);
    Four four = {};
    if (Fours > 0) four = FourAt(b + Eights * kEight);
#pragma GCC unroll 8
    for (int64_t m = 0; m < Rows; ++m) {
      const float factor = m < kHalf ? a[m * a_row] : half[(m - kHalf) * a_row];
#pragma GCC unroll 2
      for (int64_t n = 0; n < Eights; ++n) eights[m][n] += factor * eight[n];
      if (Fours > 0) fours[m] += factor * four;
    }
  }
#pragma GCC unroll 8
  for (int64_t m = 0; m < Rows; ++m) {
#pragma GCC unroll 2
    for (int64_t n = 0; n < Eights; ++n) {
      Eight& place = *reinterpret_cast<Eight*>(c + m * c_row + n * kEight);
      place = add ? place + alpha * eights[m][n] : alpha * eights[m][n];
    }
    if (Fours > 0) {
      Four& place = FourAt(c + m * c_row + Eights * kEight);
      place = add ? place + alpha * fours[m] : alpha * fours[m];
    }
  }
}

}  // namespace sink::kernels
