#include "model/backend/cpu_product.h"

// The matrix product of BLAS, which LibTorch carries and exports without a header.
extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

namespace sink {

// BLAS counts columns first, so that it computes the transpose, op(b)^T op(a)^T.
void Gemm(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, float alpha,
          const Matrix& a, const Matrix& b, float beta, const Matrix& c) {
  const char op_a = transpose_a ? 'T' : 'N', op_b = transpose_b ? 'T' : 'N';
  const int m = static_cast<int>(columns), n = static_cast<int>(rows), k = static_cast<int>(inner);
  const int lda = static_cast<int>(a.stride), ldb = static_cast<int>(b.stride), ldc = static_cast<int>(c.stride);
  sgemm_(&op_b, &op_a, &m, &n, &k, &alpha, b.data, &ldb, a.data, &lda, &beta, c.data, &ldc);
}

}  // namespace sink
