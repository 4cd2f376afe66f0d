#include "model/backend/cpu_product.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <memory>

#include "kernels/small_product.h"

// The matrix product of BLAS, which LibTorch carries and exports without a header.
extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

namespace sink {
namespace {

constexpr int64_t kMostInner = 384;           // sixteen columns of b, which every row of a meets, in the nearest cache
constexpr int64_t kMostNumbers = 1 << 15;     // of b: 128 KiB
constexpr int64_t kMostProducts = 1 << 24;    // of two numbers; in more of them BLAS's packing is lost
constexpr int64_t kRows = 16;                 // that a thread takes at least, whole tiles
constexpr int64_t kProductsOfTask = 1 << 18;  // below this a second thread costs more than it gives

// Whether BLAS computes in registers as wide as ours: with AVX-512 it has wider ones.
bool HasRegistersOfEight() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && !__builtin_cpu_supports("avx512f");
#else
  return false;
#endif
}

}  // namespace

// BLAS counts columns first, so that it computes the transpose, op(b)^T op(a)^T.
void Gemm(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, float alpha,
          const Matrix& a, const Matrix& b, float beta, const Matrix& c) {
  const char op_a = transpose_a ? 'T' : 'N', op_b = transpose_b ? 'T' : 'N';
  const int m = static_cast<int>(columns), n = static_cast<int>(rows), k = static_cast<int>(inner);
  const int lda = static_cast<int>(a.stride), ldb = static_cast<int>(b.stride), ldc = static_cast<int>(c.stride);
  sgemm_(&op_b, &op_a, &m, &n, &k, &alpha, b.data, &ldb, a.data, &lda, &beta, c.data, &ldc);
}

void CachedProduct(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, const Matrix& a,
                   const Matrix& b, bool add, const Matrix& c) {
  std::unique_ptr<float[]> turned;
  Matrix right = b;
  if (transpose_b) {
    turned = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(inner * columns));
    kernels::Transpose(b.data, b.stride, columns, inner, turned.get());
    right = {turned.get(), columns};
  }
  const int64_t blocks = (rows + kRows - 1) / kRows;
  at::parallel_for(0, blocks, 1 + kProductsOfTask / (kRows * columns * inner), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kRows, last = std::min(end * kRows, rows);
    const kernels::View left = transpose_a ? kernels::View{a.data + first, 1, a.stride}
                                           : kernels::View{a.data + first * a.stride, a.stride, 1};
    kernels::SmallProduct(left, right.data, right.stride, last - first, columns, inner, 1.0f, add,
                          c.data + first * c.stride, c.stride);
  });
}

void MatrixProduct(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, const Matrix& a,
                   const Matrix& b, bool add, const Matrix& c) {
  static const bool kEights = HasRegistersOfEight();
  if (!kEights || columns % 4 != 0 || inner > kMostInner || inner * columns > kMostNumbers ||
      rows * inner * columns > kMostProducts)
    return Gemm(transpose_a, transpose_b, rows, columns, inner, 1.0f, a, b, add ? 1.0f : 0.0f, c);
  CachedProduct(transpose_a, transpose_b, rows, columns, inner, a, b, add, c);
}

}  // namespace sink
