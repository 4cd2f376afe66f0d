// Feed-forward nonlinearities for CUDA on the emulator, against their formulas in double and finite differences of
// those.
#include "kernels/cuda/feed_forward.cu"

#include <limits>
#include <numbers>

#include "tests/kernels/cuda/harness.h"

namespace sink::kernels::cuda {
namespace {

constexpr Activation kActivations[] = {Activation::kSilu, Activation::kGelu, Activation::kRelu};

double Value(Activation activation, double x) {
  if (activation == Activation::kSilu) return x / (1 + std::exp(-x));
  if (activation == Activation::kGelu) return x * std::erfc(-x / std::numbers::sqrt2) / 2;
  return std::max(x, 0.0);
}

std::vector<double> Reference(Activation activation, bool gated, const std::vector<double>& x, int64_t rows,
                              int64_t width) {
  std::vector<double> y(static_cast<size_t>(rows * width));
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t f = 0; f < width; ++f) {
      const double* gate = x.data() + row * width * (gated ? 2 : 1) + f;
      y[static_cast<size_t>(row * width + f)] = Value(activation, *gate) * (gated ? gate[width] : 1);
    }
  return y;
}

template <typename T>
void Check(Activation activation, bool gated, int64_t rows, int64_t width, int64_t offset) {
  SCOPED_TRACE(::testing::Message() << static_cast<int>(activation) << " gated " << gated << ", width " << width);
  const Buffer<T> x(Random(rows * width * (gated ? 2 : 1), 1), offset), dy(Random(rows * width, 2), offset);
  const std::vector<double> y = InEveryOrder([&] {
    Buffer<T> out(rows * width, offset);
    if (gated)
      GatedForward<T>(nullptr, activation, x.data(), rows, width, out.data());
    else
      ActivationForward<T>(nullptr, activation, x.data(), rows, width, out.data());
    return out.Values();
  });
  EXPECT_LT(RelativeError(y, Reference(activation, gated, x.Values(), rows, width)), kTolerance<T>);

  const std::vector<double> dx = InEveryOrder([&] {
    Buffer<T> out(x.Values(), offset);  // written over what it reads
    if (gated)
      GatedBackward<T>(nullptr, activation, dy.data(), out.data(), rows, width, out.data());
    else
      ActivationBackward<T>(nullptr, activation, dy.data(), out.data(), rows, width, out.data());
    return out.Values();
  });
  const std::vector<double> expected = FiniteDifferences(x.Values(), [&](const std::vector<double>& v) {
    return Dot(Reference(activation, gated, v, rows, width), dy.Values());
  });
  EXPECT_LT(RelativeError(dx, expected), kTolerance<T>);
}

TEST(CudaFeedForward, AgreesWithFormulaAndItsGradients) {
  for (const Activation activation : kActivations)
    for (const bool gated : {false, true}) {
      Check<float>(activation, gated, 3, 7, 0);
      Check<float>(activation, gated, 2, 40, 0);
      Check<Bfloat16>(activation, gated, 3, 7, 0);
      Check<Bfloat16>(activation, gated, 2, 40, 0);
      Check<Bfloat16>(activation, gated, 2, 40, 1);
    }
}

TEST(CudaFeedForward, WorksBeyondOneBlock) {
  const int64_t rows = 3, width = 2048 + 8;
  const Buffer<Bfloat16> x(Random(rows * width * 2, 1));
  Buffer<Bfloat16> y(rows * width);
  GatedForward<Bfloat16>(nullptr, Activation::kSilu, x.data(), rows, width, y.data());
  EXPECT_LT(RelativeError(y.Values(), Reference(Activation::kSilu, true, x.Values(), rows, width)),
            kTolerance<Bfloat16>);
}

TEST(CudaFeedForward, TailsKeepTheirDigitsAndNanPasses) {
  const Buffer<float> x(std::vector<double>{-4.5, -90, 90, std::numeric_limits<double>::quiet_NaN()});
  for (const Activation activation : kActivations) {
    Buffer<float> y(4);
    ActivationForward<float>(nullptr, activation, x.data(), 1, 4, y.data());
    const std::vector<double> values = y.Values();
    EXPECT_NEAR(values[0], Value(activation, -4.5), 1e-4 * std::abs(Value(activation, -4.5)));
    EXPECT_NEAR(values[1], 0, 1e-30);
    EXPECT_EQ(values[2], 90);
    EXPECT_TRUE(std::isnan(values[3]));
  }
}

}  // namespace
}  // namespace sink::kernels::cuda
