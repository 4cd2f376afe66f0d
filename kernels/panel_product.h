// Matrix products whose b fits a core's own cache and is met by many rows: the products of a small model's layers. b is
// packed first, into panels of as many columns as a tile has, so that a tile reads it from one address on; rows that
// lie a power of two apart, or nearly, would push one another out of the nearest cache. CPU, float, no state: any
// thread. The same bits in every call on one kind of processor, whatever rows a call has.
#pragma once

#include <cstdint>

#include "kernels/small_product.h"

namespace sink::kernels {

// How many numbers the panels of b [inner, columns] take.
int64_t PanelsSize(int64_t inner, int64_t columns);
// Panels of kTileColumns columns, row by row, one panel after the other; the last one is filled up with zeros.
void PackPanels(const View& b, int64_t inner, int64_t columns, float* panels);

// c[m, n] = sum_k a[m, k] b[k, n], or that added to c, for `rows` m, of packed b [inner, columns]. Rows of c are dense,
// `c_row` from one to the next; c overlaps nothing else. `scratch`: PanelScratch(inner) numbers.
int64_t PanelScratch(int64_t inner);
void PanelProduct(const View& a, const float* panels, int64_t rows, int64_t columns, int64_t inner, bool add, float* c,
                  int64_t c_row, float* scratch);

}  // namespace sink::kernels
