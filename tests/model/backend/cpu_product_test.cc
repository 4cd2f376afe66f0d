// Our own matrix product, on CPUs whose BLAS the table takes instead, too: values, and the same bits however many
// threads share the rows.
#include "model/backend/cpu_product.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace sink {
namespace {

constexpr int64_t kGap = 3;  // numbers between rows

Matrix RowsOf(const at::Tensor& x) { return {x.mutable_data_ptr<float>(), x.stride(0)}; }

class CachedProductTest : public ::testing::Test {
 protected:
  // Rows that lie apart.
  at::Tensor Random(int64_t rows, int64_t columns) {
    return at::randn({rows, columns + kGap}, generator_).narrow(1, 0, columns);
  }

  void Check(int64_t rows, int64_t columns, int64_t inner, bool transpose_a, bool transpose_b, bool add) {
    SCOPED_TRACE(::testing::Message() << rows << " x " << columns << " of " << inner << ", transposed " << transpose_a
                                      << transpose_b << ", adds " << add);
    const at::Tensor a = transpose_a ? Random(inner, rows) : Random(rows, inner);
    const at::Tensor b = transpose_b ? Random(columns, inner) : Random(inner, columns);
    const at::Tensor before = Random(rows, columns);
    const at::Tensor left = a.to(at::kDouble), right = b.to(at::kDouble);
    at::Tensor expected = (transpose_a ? left.t() : left).matmul(transpose_b ? right.t() : right);
    if (add) expected = expected + before;
    at::Tensor alone;
    for (const int threads : {1, 2, 3}) {
      at::set_num_threads(threads);
      const at::Tensor out = Random(rows, columns).copy_(before);
      CachedProduct(transpose_a, transpose_b, rows, columns, inner, RowsOf(a), RowsOf(b), add, RowsOf(out));
      EXPECT_LT((out.to(at::kDouble) - expected).norm().item<double>(), 1e-6 * expected.norm().item<double>());
      if (threads == 1) alone = out;
      EXPECT_TRUE(out.equal(alone)) << threads << " threads";
    }
    at::set_num_threads(1);
  }

  at::Generator generator_ = at::make_generator<at::CPUGeneratorImpl>(1);
};

// Fewer rows than a thread takes, rows left over from whole blocks, several blocks a thread, columns in half registers.
TEST_F(CachedProductTest, OfEverySizeHasTheSameBitsOnAnyNumberOfThreads) {
  struct Sizes {
    int64_t rows, columns, inner;
  };
  for (const auto [rows, columns, inner] :
       {Sizes{9, 512, 64}, Sizes{37, 288, 96}, Sizes{300, 20, 64}, Sizes{100, 28, 200}, Sizes{1100, 160, 96}})
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        for (const bool add : {false, true}) Check(rows, columns, inner, transpose_a, transpose_b, add);
}

}  // namespace
}  // namespace sink
