// RoPE for CUDA on the emulator against its formula in double, in place and into other rows; its gradient is the turn
// back.
#include "kernels/cuda/rope.cu"

#include "tests/kernels/cuda/harness.h"

namespace sink::kernels::cuda {
namespace {

struct Case {
  int64_t heads, head_dim, rotated_dims, rest;
};

std::vector<double> Turned(const std::vector<double>& x, const std::vector<double>& table, const Case& c, int64_t rows,
                           int64_t length, double sign) {
  std::vector<double> y = x;
  const int64_t half = c.rotated_dims / 2, width = c.heads * c.head_dim + c.rest;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t head = 0; head < c.heads; ++head)
      for (int64_t i = 0; i < half; ++i) {
        const auto low = static_cast<size_t>(row * width + head * c.head_dim + i),
                   high = low + static_cast<size_t>(half);
        const auto angle = static_cast<size_t>(row % length * c.rotated_dims + i);
        const double cosine = table[angle], sine = sign * table[angle + static_cast<size_t>(half)];
        y[low] = x[low] * cosine - x[high] * sine;
        y[high] = x[high] * cosine + x[low] * sine;
      }
  return y;
}

template <typename T>
void Check(const Case& c) {
  SCOPED_TRACE(::testing::Message() << c.heads << " heads of " << c.head_dim << ", " << c.rotated_dims << " turned");
  const int64_t length = 5, rows = 2 * length, width = c.heads * c.head_dim + c.rest;
  const Buffer<T> x(Random(rows * width, 1));
  const Buffer<float> table(Random(length * c.rotated_dims, 2));
  for (const bool inverse : {false, true}) {
    const auto run = [&](const T* from, T* to) {
      Rope<T>(nullptr, from, table.data(), rows, length, width, c.heads, c.head_dim, c.rotated_dims, inverse, to);
    };
    const std::vector<double> y = InEveryOrder([&] {
      Buffer<T> out(x.Values());
      run(out.data(), out.data());
      return out.Values();
    });
    const std::vector<double> expected = Turned(x.Values(), table.Values(), c, rows, length, inverse ? -1.0 : 1.0);
    EXPECT_EQ(y, InEveryOrder([&] {
                Buffer<T> out(rows * width);
                run(x.data(), out.data());
                return out.Values();
              }))
        << "other rows";
    EXPECT_LT(RelativeError(y, expected), kTolerance<T>);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t i = row * width + c.heads * c.head_dim; i < (row + 1) * width; ++i)
        ASSERT_EQ(y[static_cast<size_t>(i)], x.Values()[static_cast<size_t>(i)]) << "the values are left alone";
  }
}

TEST(CudaRope, TurnsPairsAndLeavesTheRest) {
  for (const Case& c : {Case{2, 6, 6, 4}, Case{2, 6, 4, 3}, Case{3, 32, 32, 16}, Case{2, 96, 96, 96},
                        Case{4, 16, 16, 8}, Case{12, 64, 32, 128}, Case{0, 8, 8, 24}, Case{2, 16, 0, 8}}) {
    Check<float>(c);
    Check<Bfloat16>(c);
  }
}

TEST(CudaRope, RefusesShapesThatItCannotDo) {
  float x[8] = {};
  EXPECT_THROW(Rope<float>(nullptr, x, x, 1, 1, 4, 2, 4, 4, false, x), std::invalid_argument);
  EXPECT_THROW(Rope<float>(nullptr, x, x, 1, 1, 8, 2, 4, 3, false, x), std::invalid_argument);
}

}  // namespace
}  // namespace sink::kernels::cuda
