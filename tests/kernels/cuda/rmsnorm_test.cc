// RMSNorm for CUDA on the emulator, against its formula in double and finite differences of that: both types, with and
// without a residual, sizes around those of a warp, a pack of values and a block.
#include "kernels/cuda/rmsnorm.cu"

#include "tests/kernels/cuda/harness.h"

namespace sink::kernels::cuda {
namespace {

struct Case {
  int64_t rows, columns;
  bool residual;
  int64_t offset = 0;  // 1: pointers that are not aligned
};

// Both results of the forward pass, and of the backward pass, for values as T holds them.
template <typename T>
void Check(const Case& c) {
  SCOPED_TRACE(::testing::Message() << c.rows << " x " << c.columns << (c.residual ? " with residual" : ""));
  const int64_t count = c.rows * c.columns;
  const Buffer<T> x(Random(count, 1), c.offset), residual(Random(count, 2), c.offset), dy(Random(count, 3), c.offset),
      dsum(Random(count, 4), c.offset);
  const Buffer<float> weight(Random(c.columns, 5));
  Buffer<T> s(x.Values(), c.offset);
  std::vector<double> inverse_rms_values;
  const std::vector<double> forward = InEveryOrder([&] {
    Buffer<T> sum(count, c.offset), y(count, c.offset);
    Buffer<float> inverse_rms(c.rows);
    RmsNormForward<T>(nullptr, x.data(), c.residual ? residual.data() : nullptr, weight.data(), 1e-5f, c.rows,
                      c.columns, c.residual ? sum.data() : nullptr, y.data(), inverse_rms.data());
    if (c.residual) std::memcpy(s.data(), sum.data(), static_cast<size_t>(count) * sizeof(T));
    inverse_rms_values = inverse_rms.Values();
    return y.Values();
  });
  if (c.residual) {
    const std::vector<double> a = x.Values(), b = residual.Values(), sum = s.Values();
    for (size_t i = 0; i < sum.size(); ++i) ASSERT_EQ(sum[i], Widen(Narrow<T>(static_cast<float>(a[i] + b[i]))));
  }
  const int rows = static_cast<int>(c.rows), columns = static_cast<int>(c.columns);
  EXPECT_LT(RelativeError(forward, kernels::testing::RmsNorm(s.Values(), weight.Values(), rows, columns)),
            kTolerance<T>);

  const std::vector<double> backward = InEveryOrder([&] {
    Buffer<T> ds(count, c.offset);
    Buffer<float> inverse_rms(inverse_rms_values), dweight(std::vector<float>(static_cast<size_t>(columns), 0.5f));
    Buffer<float> workspace(RmsNormWorkspace(c.rows, c.columns));
    RmsNormBackward<T>(nullptr, dy.data(), c.residual ? dsum.data() : nullptr, s.data(), weight.data(),
                       inverse_rms.data(), c.rows, c.columns, ds.data(), dweight.data(), workspace.data());
    return Join({ds.Values(), dweight.Values()});
  });
  const auto objective = [&](const std::vector<double>& s_in, const std::vector<double>& weight_in) {
    return Dot(kernels::testing::RmsNorm(s_in, weight_in, rows, columns), dy.Values());
  };
  std::vector<double> expected =
      FiniteDifferences(s.Values(), [&](const std::vector<double>& v) { return objective(v, weight.Values()); });
  if (c.residual)
    for (size_t i = 0; i < expected.size(); ++i) expected[i] += dsum.Values()[i];
  std::vector<double> dweight =
      FiniteDifferences(weight.Values(), [&](const std::vector<double>& v) { return objective(s.Values(), v); });
  for (double& value : dweight) value += 0.5;  // the kernel adds
  EXPECT_LT(RelativeError({backward.begin(), backward.begin() + count}, expected), kTolerance<T> + 1e-6);
  EXPECT_LT(RelativeError({backward.begin() + count, backward.end()}, dweight), 3e-6);
}

TEST(CudaRmsNorm, AgreesWithFormulaAndItsGradients) {
  for (const bool residual : {false, true})
    for (const Case& c : {Case{1, 3, residual}, Case{3, 7, residual}, Case{5, 64, residual}, Case{2, 131, residual},
                          Case{6, 40, residual, 1}, Case{2, 531, residual}}) {
      Check<float>(c);
      Check<Bfloat16>(c);
    }
}

TEST(CudaRmsNorm, WorksAtTheWidthsOfTheModelsAndBeyondALargeBlock) {
  for (const int64_t columns : {768, 2048, 2056, 4095, 4096, 5120}) {
    const std::vector<float> x = Random(5 * columns, 1);
    const Buffer<Bfloat16> narrow(x);
    const Buffer<float> wide(x), weight(Random(columns, 2));
    Buffer<Bfloat16> narrow_y(5 * columns);
    Buffer<float> wide_y(5 * columns), inverse_rms(5);
    RmsNormForward<Bfloat16>(nullptr, narrow.data(), nullptr, weight.data(), 1e-5f, 5, columns, nullptr,
                             narrow_y.data(), inverse_rms.data());
    RmsNormForward<float>(nullptr, wide.data(), nullptr, weight.data(), 1e-5f, 5, columns, nullptr, wide_y.data(),
                          inverse_rms.data());
    const int c = static_cast<int>(columns);
    const auto expected = [&](const auto& in) { return kernels::testing::RmsNorm(in.Values(), weight.Values(), 5, c); };
    EXPECT_LT(RelativeError(narrow_y.Values(), expected(narrow)), kTolerance<Bfloat16>) << columns;
    EXPECT_LT(RelativeError(wide_y.Values(), expected(wide)), kTolerance<float>) << columns;
  }
}

TEST(CudaRmsNorm, MoreRowsThanPartialSumsAreAllCounted) {
  const int64_t rows = 2 * 4 * 512 + 3, columns = 8;
  const Buffer<Bfloat16> s(Random(rows * columns, 1)), dy(Random(rows * columns, 2));
  const Buffer<float> weight(Random(columns, 3)), inverse_rms(std::vector<float>(static_cast<size_t>(rows), 0.75f));
  const std::vector<double> dweight = InEveryOrder([&] {
    Buffer<Bfloat16> ds(dy.Values());  // written over its input
    Buffer<float> out{std::vector<float>(columns)}, workspace(RmsNormWorkspace(rows, columns));
    RmsNormBackward<Bfloat16>(nullptr, ds.data(), nullptr, s.data(), weight.data(), inverse_rms.data(), rows, columns,
                              ds.data(), out.data(), workspace.data());
    return out.Values();
  });
  std::vector<double> expected(columns);
  const std::vector<double> s_values = s.Values(), dy_values = dy.Values();
  for (size_t i = 0; i < s_values.size(); ++i) expected[i % columns] += 0.75 * s_values[i] * dy_values[i];
  EXPECT_LT(RelativeError(dweight, expected), 1e-6);
}

// More rows than partial sums, too, so that a block has several.
TEST(CudaRmsNorm, GradientsOfLongRows) {
  const int64_t rows = 515, columns = 4099;
  const auto row_count = static_cast<size_t>(rows), width = static_cast<size_t>(columns);
  const Buffer<Bfloat16> s(Random(rows * columns, 1)), dy(Random(rows * columns, 2));
  const Buffer<float> weight(Random(columns, 3)), inverse_rms(std::vector<float>(row_count, 0.75f));
  Buffer<Bfloat16> ds(rows * columns);
  Buffer<float> dweight{std::vector<float>(width)}, workspace(RmsNormWorkspace(rows, columns));
  RmsNormBackward<Bfloat16>(nullptr, dy.data(), nullptr, s.data(), weight.data(), inverse_rms.data(), rows, columns,
                            ds.data(), dweight.data(), workspace.data());
  const std::vector<double> x = s.Values(), g = dy.Values(), w = weight.Values();
  std::vector<double> expected(x.size()), expected_weight(width);
  for (size_t r = 0; r < row_count; ++r) {
    double along = 0;
    for (size_t c = 0; c < width; ++c) along += g[r * width + c] * w[c] * 0.75 * x[r * width + c];
    for (size_t c = 0; c < width; ++c) {
      const size_t at = r * width + c;
      expected[at] = 0.75 * (g[at] * w[c] - 0.75 * x[at] * along / static_cast<double>(columns));
      expected_weight[c] += 0.75 * g[at] * x[at];
    }
  }
  EXPECT_LT(RelativeError(ds.Values(), expected), kTolerance<Bfloat16>);
  EXPECT_LT(RelativeError(dweight.Values(), expected_weight), 1e-6);
}

TEST(CudaRmsNorm, RefusesRowsOfNothing) {
  float value = 1;
  EXPECT_THROW(RmsNormForward<float>(nullptr, &value, nullptr, &value, 1e-5f, 1, 0, nullptr, &value, &value),
               std::invalid_argument);
}

}  // namespace
}  // namespace sink::kernels::cuda
