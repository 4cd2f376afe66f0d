// Products with packed panels against sums in double: tails of rows and columns, either operand transposed, rows that
// lie apart; and the same bits whichever rows are computed together.
#include "kernels/panel_product.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/kernels/reference.h"

namespace sink::kernels {
namespace {

struct Shape {
  int64_t rows, columns, inner;
};

constexpr int64_t kGap = 3;  // numbers between rows

// A matrix [rows, columns] as it lies in memory, or, transposed, as [columns, rows].
struct Operand {
  Operand(int64_t rows, int64_t columns, bool transposed, int seed)
      : numbers(testing::Random(transposed ? columns * (rows + kGap) : rows * (columns + kGap), seed)),
        view(transposed ? View{numbers.data(), 1, rows + kGap} : View{numbers.data(), columns + kGap, 1}) {}
  double operator()(int64_t i, int64_t j) const { return view.data[i * view.row + j * view.column]; }

  std::vector<float> numbers;
  View view;
};

class PanelProducts : public ::testing::TestWithParam<Shape> {
 protected:
  static void Product(const View& a, const View& b, const Shape& shape, bool add, float* c) {
    const auto [rows, columns, inner] = shape;
    std::vector<float> panels(PanelsSize(inner, columns)), scratch(PanelScratch(inner));
    PackPanels(b, inner, columns, panels.data());
    PanelProduct(a, panels.data(), rows, columns, inner, add, c, columns + kGap, scratch.data());
  }

  void Check(bool transpose_a, bool transpose_b, bool add) {
    SCOPED_TRACE(::testing::Message() << "transposed " << transpose_a << transpose_b << ", adds " << add);
    const auto [rows, columns, inner] = GetParam();
    const Operand a(rows, inner, transpose_a, 1), b(inner, columns, transpose_b, 2);
    const int64_t c_row = columns + kGap;
    const std::vector<float> before = testing::Random(rows * c_row, 3);
    std::vector<double> expected = testing::Wide(before);
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t n = 0; n < columns; ++n) {
        double sum = 0;
        for (int64_t k = 0; k < inner; ++k) sum += a(m, k) * b(k, n);
        expected[m * c_row + n] = sum + (add ? before[m * c_row + n] : 0.0);
      }
    std::vector<float> c = before;
    Product(a.view, b.view, GetParam(), add, c.data());
    EXPECT_LT(testing::RelativeError(c, expected), 1e-6);
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t n = columns; n < c_row; ++n) EXPECT_EQ(c[m * c_row + n], before[m * c_row + n]) << "between rows";
    // A row by itself.
    std::vector<float> alone(before.begin() + (rows - 1) * c_row, before.end());
    Product({a.view.data + (rows - 1) * a.view.row, a.view.row, a.view.column}, b.view, {1, columns, inner}, add,
            alone.data());
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), c.end() - c_row));
  }
};

TEST_P(PanelProducts, AgreeWithSumsInDoubleAndDependOnNoOtherRow) {
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true})
      for (const bool add : {false, true}) Check(transpose_a, transpose_b, add);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PanelProducts,
                         ::testing::Values(Shape{1, 1, 1}, Shape{16, 64, 8}, Shape{13, 8, 31}, Shape{7, 24, 5},
                                           Shape{6, 16, 64}, Shape{19, 37, 10}, Shape{256, 288, 96}, Shape{8, 12, 16},
                                           Shape{20, 4, 7}, Shape{9, 20, 11}));

}  // namespace
}  // namespace sink::kernels
