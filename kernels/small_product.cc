// Products in registers: a tile of c, six rows by sixteen or twelve columns or eight by eight or four, stays there
// while a row of b and a number of each row of a are read for each k: twelve sums hide how long one addition takes, and
// leave room for what is read. Where many tiles read the same sixteen columns of b, those are copied first: rows of b
// that lie a power of two apart, or nearly, would push one another out of the nearest cache.
#include "kernels/small_product.h"

#include <algorithm>

#include "kernels/eight.h"
#include "kernels/multiversion.h"

namespace sink::kernels {
namespace {

constexpr int64_t kRows = 6, kColumns = 2 * kEight;  // of the widest tile
constexpr int64_t kMostCopied = 384;                 // rows of b: a panel of 24 KiB, which the nearest cache holds
constexpr int64_t kFewestTiles = 5;                  // that repay the copy

// A tile of c: Rows by Eights registers of eight and Fours of four.
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

template <int64_t Eights, int64_t Fours>
SINK_INLINE void Columns(const View& a, const float* b, int64_t b_row, int64_t rows, int64_t inner, float alpha,
                         bool add, float* c, int64_t c_row) {
  constexpr int64_t kMost = Eights + Fours == 1 ? 8 : kRows;
  int64_t m = 0;
  for (; m + kMost <= rows && (kMost == 8 || m + 8 != rows); m += kMost)  // eight are left: four and four
    Tile<kMost, Eights, Fours>(a.data + m * a.row, a.row, a.column, b, b_row, inner, alpha, add, c + m * c_row, c_row);
  for (; m + 4 <= rows; m += 4)
    Tile<4, Eights, Fours>(a.data + m * a.row, a.row, a.column, b, b_row, inner, alpha, add, c + m * c_row, c_row);
  for (; m < rows; ++m)
    Tile<1, Eights, Fours>(a.data + m * a.row, a.row, a.column, b, b_row, inner, alpha, add, c + m * c_row, c_row);
}

}  // namespace

SINK_MULTIVERSION void SmallProduct(const View& a, const float* b, int64_t b_row, int64_t rows, int64_t columns,
                                    int64_t inner, float alpha, bool add, float* c, int64_t c_row) {
  alignas(64) float copy[kMostCopied * kColumns];
  const bool copies = b_row > kColumns && inner <= kMostCopied && rows >= kFewestTiles * kRows;
  int64_t n = 0;
  for (; n + kColumns <= columns; n += kColumns) {
    for (int64_t k = 0; copies && k < inner; ++k) std::copy_n(b + k * b_row + n, kColumns, copy + k * kColumns);
    Columns<2, 0>(a, copies ? copy : b + n, copies ? kColumns : b_row, rows, inner, alpha, add, c + n, c_row);
  }
  if (const int64_t left = columns - n; left >= kEight + kFour) {
    Columns<1, 1>(a, b + n, b_row, rows, inner, alpha, add, c + n, c_row);
    n += kEight + kFour;
  } else if (left >= kEight) {
    Columns<1, 0>(a, b + n, b_row, rows, inner, alpha, add, c + n, c_row);
    n += kEight;
  } else if (left >= kFour) {
    Columns<0, 1>(a, b + n, b_row, rows, inner, alpha, add, c + n, c_row);
    n += kFour;
  }
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
