// Products in registers: a tile of c, four rows by sixteen columns or eight by eight or four, stays there while a row
// of b and a number of each row of a are read for each k: eight sums hide how long one addition takes, and strips of
// sixteen rows leave none over. Nothing is packed, because a small b is in the nearest cache anyway.
#include "kernels/small_product.h"

#include "kernels/eight.h"
#include "kernels/multiversion.h"

namespace sink::kernels {
namespace {

// As many numbers as a register, or half of one, holds.
template <int64_t Width>
struct Lanes {
  using Vector = Eight;
};
template <>
struct Lanes<kFour> {
  using Vector = Four;
};

// Rows x Vectors * Width numbers of c.
template <int64_t Width, int64_t Rows, int64_t Vectors>
SINK_INLINE void Tile(const float* a, int64_t a_row, int64_t a_column, const float* b, int64_t b_row, int64_t inner,
                      float alpha, bool add, float* __restrict c, int64_t c_row) {
  using Vector = typename Lanes<Width>::Vector;
  Vector sum[Rows][Vectors] = {};
  for (int64_t k = 0; k < inner; ++k) {
    Vector row[Vectors];
#pragma GCC unroll 2
    for (int64_t n = 0; n < Vectors; ++n) row[n] = *reinterpret_cast<const Vector*>(b + k * b_row + n * Width);
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
      Vector& place = *reinterpret_cast<Vector*>(c + m * c_row + n * Width);
      place = add ? place + alpha * sum[m][n] : alpha * sum[m][n];
    }
}

template <int64_t Width, int64_t Vectors>
SINK_INLINE void Columns(const View& a, const float* b, int64_t b_row, int64_t rows, int64_t inner, float alpha,
                         bool add, float* c, int64_t c_row) {
  constexpr int64_t kRows = Vectors == 1 ? 8 : 4;
  int64_t m = 0;
  for (; m + kRows <= rows; m += kRows)
    Tile<Width, kRows, Vectors>(a.data + m * a.row, a.row, a.column, b, b_row, inner, alpha, add, c + m * c_row, c_row);
  for (; m < rows; ++m)
    Tile<Width, 1, Vectors>(a.data + m * a.row, a.row, a.column, b, b_row, inner, alpha, add, c + m * c_row, c_row);
}

}  // namespace

SINK_MULTIVERSION void SmallProduct(const View& a, const float* b, int64_t b_row, int64_t rows, int64_t columns,
                                    int64_t inner, float alpha, bool add, float* c, int64_t c_row) {
  int64_t n = 0;
  for (; n + 2 * kEight <= columns; n += 2 * kEight)
    Columns<kEight, 2>(a, b + n, b_row, rows, inner, alpha, add, c + n, c_row);
  for (; n + kEight <= columns; n += kEight) Columns<kEight, 1>(a, b + n, b_row, rows, inner, alpha, add, c + n, c_row);
  for (; n + kFour <= columns; n += kFour) Columns<kFour, 1>(a, b + n, b_row, rows, inner, alpha, add, c + n, c_row);
  for (int64_t m = 0; n < columns && m < rows; ++m)
    for (int64_t j = n; j < columns; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < inner; ++k) sum += a.data[m * a.row + k * a.column] * b[k * b_row + j];
      c[m * c_row + j] = add ? c[m * c_row + j] + alpha * sum : alpha * sum;
    }
}

SINK_MULTIVERSION void Transpose(const float* x, int64_t x_row, int64_t rows, int64_t columns, float* __restrict out) {
  const int64_t whole_rows = rows / kFour * kFour, whole_columns = columns / kFour * kFour;
  for (int64_t i = 0; i < whole_rows; i += kFour)
    for (int64_t j = 0; j < whole_columns; j += kFour) TurnFour(x + i * x_row + j, x_row, out + j * rows + i, rows);
  for (int64_t j = 0; j < columns; ++j)
    for (int64_t i = j < whole_columns ? whole_rows : 0; i < rows; ++i) out[j * rows + i] = x[i * x_row + j];
}

}  // namespace sink::kernels
