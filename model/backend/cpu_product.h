// The matrix product of BLAS on float rows of a CPU, without the tensors that ATen's product would make of its
// operands. A pure function on BLAS's threads, which are ATen's; inside at::parallel_for it stays on its thread.
#pragma once

#include <cstdint>

namespace sink {

// A row-major matrix of float: `stride` from row to row.
struct Matrix {
  float* data;
  int64_t stride;
};

// c = beta c + alpha op(a) op(b), c [rows, columns], for `inner` columns of op(a).
void Gemm(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, float alpha,
          const Matrix& a, const Matrix& b, float beta, const Matrix& c);

}  // namespace sink
