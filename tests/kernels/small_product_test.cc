// Small products against sums in double: tails of rows and columns, transposed operands, rows that lie apart.
#include "kernels/small_product.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/kernels/reference.h"

namespace sink::kernels {
namespace {

struct Shape {
  int64_t rows, columns, inner;
};

class SmallProducts : public ::testing::TestWithParam<Shape> {
 protected:
  // a as it lies, [rows, inner] or, transposed, [inner, rows]; b and c with three numbers between their rows.
  void Check(bool transposed, bool add) {
    const auto [rows, columns, inner] = GetParam();
    const int64_t gap = 3, b_row = columns + gap, c_row = columns + gap;
    const std::vector<float> a = testing::Random(rows * inner, 1), b = testing::Random(inner * b_row, 2);
    const std::vector<float> before = testing::Random(rows * c_row, 3);
    const View view = transposed ? View{a.data(), 1, rows} : View{a.data(), inner, 1};
    std::vector<double> expected = testing::Wide(before);
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t n = 0; n < columns; ++n) {
        double sum = 0;
        for (int64_t k = 0; k < inner; ++k)
          sum += static_cast<double>(view.data[m * view.row + k * view.column]) * b[k * b_row + n];
        expected[m * c_row + n] = 0.5 * sum + (add ? before[m * c_row + n] : 0.0);
      }
    std::vector<float> c = before;
    SmallProduct(view, b.data(), b_row, rows, columns, inner, 0.5f, add, c.data(), c_row);
    EXPECT_LT(testing::RelativeError(c, expected), 1e-6);
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t n = columns; n < c_row; ++n) EXPECT_EQ(c[m * c_row + n], before[m * c_row + n]) << "between rows";
  }
};

TEST_P(SmallProducts, AgreesWithSumsInDouble) { Check(/*transposed=*/false, /*add=*/false); }
TEST_P(SmallProducts, AddsToWhatIsThere) { Check(/*transposed=*/false, /*add=*/true); }
TEST_P(SmallProducts, TakesATransposedOperand) { Check(/*transposed=*/true, /*add=*/true); }

INSTANTIATE_TEST_SUITE_P(Shapes, SmallProducts,
                         ::testing::Values(Shape{1, 1, 1}, Shape{16, 64, 8}, Shape{13, 8, 31}, Shape{7, 24, 5},
                                           Shape{6, 16, 64}, Shape{19, 37, 10}, Shape{23, 32, 9}, Shape{21, 12, 16},
                                           Shape{16, 4, 7}, Shape{9, 20, 11}, Shape{37, 60, 20}));

TEST(Transpose, ReadsRowsThatLieApart) {
  const std::vector<float> x = testing::Random(5 * 7, 4);
  std::vector<float> out(5 * 4);
  Transpose(x.data(), 7, 5, 4, out.data());
  for (int64_t i = 0; i < 5; ++i)
    for (int64_t j = 0; j < 4; ++j) EXPECT_EQ(out[j * 5 + i], x[i * 7 + j]);
}

}  // namespace
}  // namespace sink::kernels
