// Products in registers: a tile of c, four rows by sixteen columns or eight by eight, stays there while a row of b and
// a number of each row of a are read for each k: eight sums hide how long one addition takes, and strips of sixteen
// rows leave none over. Nothing is packed, because a small b is in the nearest cache anyway.
#include "kernels/small_product.h"

#include "kernels/eight.h"
#include "kernels/multiversion.h"

namespace sink::kernels {
namespace {

// Rows x Vectors * 8 numbers of c.
template <int64_t Rows, int64_t Vectors>
SINK_INLINE void Tile(const float* a, int64_t a_row, int64_t a_column, const float* b, int64_t b_row, int64_t inner,
                      float alpha, bool add, float* __restrict c, int64_t c_row) {
  Eight sum[Rows][Vectors] = {};
  for (int64_t k = 0; k < inner; ++k) {
    Eight row[Vectors];
#pragma GCC unroll 2
    for (int64_t n = 0; n < Vectors; ++n) row[n] = *reinterpret_cast<const Eight*>(b + k * b_row + n * kEight);
#pragma GCC unroll 8
    for (int64_t m = 0; m < Rows; ++m) {
      const float factor = a[m * a_row + k * a_column];
#pragma GCC unroll 2
      for (int64_t n = 0; n < Vectors; ++n) sum[m][n] += factor * row[n];
    }
  }
#pragma GCC unroll 8
  for (int64_t m = 0; m < Rows; ++m)
#pragma GCC unroll 2
    for (int64_t n = 0; n < Vectors; ++n) {
      Eight& place = *reinterpret_cast<Eight*>(c + m * c_row + n * kEight);
      place = add ? place + alpha * sum[m][n] : alpha * sum[m][n];
    }
}

template <int64_t Vectors>
SINK_INLINE void Columns(const View& a, const float* b, int64_t b_row, int64_t rows, int64_t inner, float alpha,
                         bool add, float* c, int64_t c_row) {
  constexpr int64_t kRows = Vectors == 1 ? 8 : 4;
  int64_t m = 0;
  for (; m + kRows <= rows; m += kRows)
    Tile<kRows, Vectors>(a.data + m * a.row, a.row, a.column, b, b_row, inner, alpha, add, c + m * c_row, c_row);
  for (; m < rows; ++m)
    Tile<1, Vectors>(a.data + m * a.row, a.row, a.column, b, b_row, inner, alpha, add, c + m * c_row, c_row);
}

}  // namespace

SINK_MULTIVERSION void SmallProduct(const View& a, const float* b, int64_t b_row, int64_t rows, int64_t columns,
                                    int64_t inner, float alpha, bool add, float* c, int64_t c_row) {
  int64_t n = 0;
  for (; n + 2 * kEight <= columns; n += 2 * kEight) Columns<2>(a, b + n, b_row, rows, inner, alpha, add, c + n, c_row);
  for (; n + kEight <= columns; n += kEight) Columns<1>(a, b + n, b_row, rows, inner, alpha, add, c + n, c_row);
  for (int64_t m = 0; n < columns && m < rows; ++m)
    for (int64_t j = n; j < columns; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < inner; ++k) sum += a.data[m * a.row + k * a.column] * b[k * b_row + j];
      c[m * c_row + j] = add ? c[m * c_row + j] + alpha * sum : alpha * sum;
    }
}

SINK_MULTIVERSION void Transpose(const float* x, int64_t x_row, int64_t rows, int64_t columns, float* __restrict out) {
  for (int64_t j = 0; j < columns; ++j)
    for (int64_t i = 0; i < rows; ++i) out[j * rows + i] = x[i * x_row + j];
}

}  // namespace sink::kernels
