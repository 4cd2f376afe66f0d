// Matrix products whose operands fit a core's cache: the products of one attention head, of a few rows of a small
// model. BLAS spends more on such a product's arguments than on its arithmetic. CPU, row-major floats, no state: any
// thread. The same bits in every call on one kind of processor.
#pragma once

#include <cstdint>

namespace sink::kernels {

// A matrix as a product reads it: element (i, j) at data[i * row + j * column]. Transposed by swapping the two.
struct View {
  const float* data;
  int64_t row, column;
};

// c[m, n] = alpha sum_k a[m, k] b[k, n], or that added to c, for `rows` m, `columns` n and `inner` k. Rows of b and c
// are dense, `b_row` and `c_row` from one to the next; c overlaps neither. Fast where columns are a multiple of 4.
void SmallProduct(const View& a, const float* b, int64_t b_row, int64_t rows, int64_t columns, int64_t inner,
                  float alpha, bool add, float* c, int64_t c_row);

// out[columns, rows] is x[rows, columns] transposed, `x_row` from row to row of x.
void Transpose(const float* x, int64_t x_row, int64_t rows, int64_t columns, float* __restrict out);

}  // namespace sink::kernels
