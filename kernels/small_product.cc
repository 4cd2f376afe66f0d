// Products in tiles (product_tile.h) of six rows by sixteen or twelve columns, or eight by eight or four. Nothing is
// packed, because a small b is in the nearest cache anyway.
#include "kernels/small_product.h"

#include "kernels/eight.h"
#include "kernels/multiversion.h"
#include "kernels/product_tile.h"

namespace sink::kernels {
namespace {

template <int64_t Eights, int64_t Fours>
SINK_INLINE void Columns(const View& a, const float* b, int64_t b_row, int64_t rows, int64_t inner, float alpha,
                         bool add, float* c, int64_t c_row) {
  constexpr int64_t kMost = Eights + Fours == 1 ? 8 : kTileRows;
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
  int64_t n = 0;
  for (; n + kTileColumns <= columns; n += kTileColumns)
    Columns<2, 0>(a, b + n, b_row, rows, inner, alpha, add, c + n, c_row);
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
