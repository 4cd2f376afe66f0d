// Six rows of a meet all panels, which a core's own cache holds, while the nearest one holds the rows. Where their
// numbers lie apart, as in a transposed a, they are copied first, once for all panels.
#include "kernels/panel_product.h"

#include <algorithm>

#include "kernels/eight.h"
#include "kernels/multiversion.h"
#include "kernels/product_tile.h"

namespace sink::kernels {
namespace {

template <int64_t Rows>
SINK_INLINE void TileOfPanel(const float* a, int64_t a_row, int64_t a_column, const float* panel, int64_t columns,
                             int64_t inner, bool add, float* c, int64_t c_row) {
  if (columns >= kTileColumns)
    return Tile<Rows, 2, 0>(a, a_row, a_column, panel, kTileColumns, inner, 1.0f, add, c, c_row);
  float whole[Rows * kTileColumns];
  Tile<Rows, 2, 0>(a, a_row, a_column, panel, kTileColumns, inner, 1.0f, /*add=*/false, whole, kTileColumns);
  for (int64_t m = 0; m < Rows; ++m)
    for (int64_t n = 0; n < columns; ++n)
      c[m * c_row + n] = whole[m * kTileColumns + n] + (add ? c[m * c_row + n] : 0.0f);
}

template <int64_t Rows>
SINK_INLINE void RowsOfTile(const View& a, const float* panels, int64_t columns, int64_t inner, bool add, float* c,
                            int64_t c_row, float* __restrict scratch) {
  const bool dense = a.column == 1;
  for (int64_t k = 0; !dense && k < inner; ++k) {
    const float* from = a.data + k * a.column;
    float* const to = scratch + k * Rows;
    constexpr int64_t kWhole = Rows / kFour * kFour;
    if (a.row == 1 && kWhole > 0) FourAt(to) = FourAt(from);
    for (int64_t m = a.row == 1 ? kWhole : 0; m < Rows; ++m) to[m] = from[m * a.row];
  }
  for (int64_t n = 0; n < columns; n += kTileColumns) {
    const float* panel = panels + n * inner;
    if (dense)
      TileOfPanel<Rows>(a.data, a.row, 1, panel, columns - n, inner, add, c + n, c_row);
    else
      TileOfPanel<Rows>(scratch, 1, Rows, panel, columns - n, inner, add, c + n, c_row);
  }
}

}  // namespace

int64_t PanelsSize(int64_t inner, int64_t columns) {
  return (columns + kTileColumns - 1) / kTileColumns * kTileColumns * inner;
}

int64_t PanelScratch(int64_t inner) { return kTileRows * inner; }

SINK_MULTIVERSION void PackPanels(const View& b, int64_t inner, int64_t columns, float* __restrict panels) {
  for (int64_t n = 0; n < columns; n += kTileColumns, panels += inner * kTileColumns) {
    const int64_t width = std::min(kTileColumns, columns - n);
    const float* from = b.data + n * b.column;
    if (b.column == 1) {
      for (int64_t k = 0; k < inner; ++k) {
        const float* row = from + k * b.row;
        int64_t j = 0;
        for (; j + kFour <= width; j += kFour) FourAt(panels + k * kTileColumns + j) = FourAt(row + j);
        for (; j < width; ++j) panels[k * kTileColumns + j] = row[j];
      }
    } else {
      int64_t j = 0;
      for (; b.row == 1 && j + kFour <= width; j += kFour) {
        int64_t k = 0;
        for (; k + kFour <= inner; k += kFour)
          TurnFour(from + j * b.column + k, b.column, panels + k * kTileColumns + j, kTileColumns);
        for (; k < inner; ++k)
          for (int64_t i = j; i < j + kFour; ++i) panels[k * kTileColumns + i] = from[i * b.column + k];
      }
      for (; j < width; ++j)
        for (int64_t k = 0; k < inner; ++k) panels[k * kTileColumns + j] = from[j * b.column + k * b.row];
    }
    for (int64_t k = 0; width < kTileColumns && k < inner; ++k)
      std::fill(panels + k * kTileColumns + width, panels + (k + 1) * kTileColumns, 0.0f);
  }
}

SINK_MULTIVERSION void PanelProduct(const View& a, const float* panels, int64_t rows, int64_t columns, int64_t inner,
                                    bool add, float* c, int64_t c_row, float* scratch) {
  int64_t m = 0;
  const auto rest = [&] { return View{a.data + m * a.row, a.row, a.column}; };
  for (; m + kTileRows <= rows && m + 8 != rows; m += kTileRows)  // eight are left: four and four
    RowsOfTile<kTileRows>(rest(), panels, columns, inner, add, c + m * c_row, c_row, scratch);
  for (; m + 4 <= rows; m += 4) RowsOfTile<4>(rest(), panels, columns, inner, add, c + m * c_row, c_row, scratch);
  for (; m < rows; ++m) RowsOfTile<1>(rest(), panels, columns, inner, add, c + m * c_row, c_row, scratch);
}

}  // namespace sink::kernels
