// Matrix products on float rows of a CPU, without the tensors that ATen's product would make of its operands. Pure
// functions on ATen's threads, which are BLAS's too; inside at::parallel_for they stay on their thread. What BLAS
// computes may depend on the number of threads in its last bits, our own products do not.
#pragma once

#include <cstdint>

namespace sink {

// A row-major matrix of float: `stride` from row to row.
struct Matrix {
  float* data;
  int64_t stride;
};

// BLAS's: c = beta c + alpha op(a) op(b), c [rows, columns], for `inner` columns of op(a).
void Gemm(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, float alpha,
          const Matrix& a, const Matrix& b, float beta, const Matrix& c);

// c = op(a) op(b), or that added to c, by kernels/small_product.h. The same bits on any number of threads.
void CachedProduct(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, const Matrix& a,
                   const Matrix& b, bool add, const Matrix& c);

// The same by CachedProduct where that is faster than BLAS: where a core's cache holds op(b), which BLAS packs first in
// every call, and registers are no wider than its own.
void MatrixProduct(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, const Matrix& a,
                   const Matrix& b, bool add, const Matrix& c);

}  // namespace sink
