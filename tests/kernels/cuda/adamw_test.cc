// Norm, clipping factor and AdamW for CUDA on the emulator, against their formulas in double.
#include "kernels/cuda/adamw.cu"

#include <limits>

#include "tests/kernels/cuda/harness.h"

namespace sink::kernels::cuda {
namespace {

constexpr AdamWStep kStep{.learning_rate = 3e-3, .weight_decay = 0.1, .step = 3, .gradient_scale = 0.5};

struct State {
  std::vector<double> value, first, second;
};

State Reference(const AdamWStep& s, const std::vector<double>& gradient, double scale, State x) {
  const auto step = static_cast<double>(s.step);
  for (size_t i = 0; i < gradient.size(); ++i) {
    const double g = gradient[i] * s.gradient_scale * scale;
    x.first[i] = s.beta1 * x.first[i] + (1 - s.beta1) * g;
    x.second[i] = s.beta2 * x.second[i] + (1 - s.beta2) * g * g;
    const double m = x.first[i] / (1 - std::pow(s.beta1, step)), v = x.second[i] / (1 - std::pow(s.beta2, step));
    x.value[i] -= s.learning_rate * s.weight_decay * x.value[i] + s.learning_rate * m / (std::sqrt(v) + s.epsilon);
  }
  return x;
}

void Check(int64_t count, int64_t offset) {
  SCOPED_TRACE(::testing::Message() << count << " values, offset " << offset);
  const Buffer<float> gradient(Random(count, 1), offset), value(Random(count, 2), offset),
      first(Random(count, 3), offset);
  std::vector<float> squares = Random(count, 4);
  for (float& x : squares) x *= x;
  const Buffer<float> second(squares, offset), scale(std::vector<float>{0.25f});
  const std::vector<double> result = InEveryOrder([&] {
    Buffer<float> x(value.Values(), offset), m(first.Values(), offset), v(second.Values(), offset);
    Buffer<Bfloat16> copy(count, 4 * offset);
    AdamW(nullptr, kStep, count, gradient.data(), scale.data(), x.data(), m.data(), v.data(), copy.data());
    for (int64_t i = 0; i < count; ++i) EXPECT_EQ(copy.data()[i].bits, Narrow<Bfloat16>(x.data()[i]).bits);
    return Join({x.Values(), m.Values(), v.Values()});
  });
  const State expected = Reference(kStep, gradient.Values(), 0.25, {value.Values(), first.Values(), second.Values()});
  const auto part = [&](int64_t i) {
    return std::vector<double>(result.begin() + i * count, result.begin() + (i + 1) * count);
  };
  EXPECT_LT(RelativeError(part(0), expected.value), 1e-6);
  EXPECT_LT(RelativeError(part(1), expected.first), 1e-6);
  EXPECT_LT(RelativeError(part(2), expected.second), 1e-6);
}

TEST(CudaAdamW, AgreesWithFormulaAndWritesTheCopy) {
  Check(1, 0);
  Check(1023, 0);
  Check(1028, 0);
  Check(1028, 1);
}

TEST(CudaAdamW, WithoutScaleAndCopyAndWithAScaleOfZero) {
  const Buffer<float> gradient(Random(8, 1)), zero(std::vector<float>{0.0f});
  Buffer<float> x(Random(8, 2)), m(Random(8, 3)), v(std::vector<float>(8, 1.0f));
  const std::vector<double> value = x.Values(), first = m.Values(), second = v.Values();
  AdamW(nullptr, kStep, 8, gradient.data(), zero.data(), x.data(), m.data(), v.data(), nullptr);
  EXPECT_EQ(x.Values(), value);
  EXPECT_EQ(m.Values(), first);
  AdamW(nullptr, kStep, 8, gradient.data(), nullptr, x.data(), m.data(), v.data(), nullptr);
  EXPECT_LT(RelativeError(x.Values(), Reference(kStep, gradient.Values(), 1, {value, first, second}).value), 1e-6);
}

double Sum(const Buffer<float>& x) {
  Buffer<double> workspace(kSumOfSquaresWorkspace), out(1);
  SumOfSquares(nullptr, x.data(), x.size(), workspace.data(), out.data());
  return out.Values()[0];
}

TEST(CudaNorm, IsThatOfDoubleInEveryOrder) {
  for (const int64_t count : {0, 5, 2 * 512 * 512 + 4}) {
    const Buffer<float> x(Random(count, 1));
    const double expected = Dot(x.Values(), x.Values());
    EXPECT_NEAR(Sum(x), expected, 1e-12 * expected);
  }
  const Buffer<float> x(Random(4097, 1));
  const double expected = Dot(x.Values(), x.Values());
  EXPECT_NEAR(InEveryOrder([&] { return std::vector<double>{Sum(x)}; })[0], expected, 1e-12 * expected);
}

TEST(CudaNorm, ClipsWhatIsLargerAndRefusesWhatIsNotFinite) {
  const auto scale = [](double sum, double max_norm) {
    double norm = 0;
    float out = 0;
    ClippingScale(nullptr, &sum, max_norm, &norm, &out);
    EXPECT_TRUE(norm == std::sqrt(sum) || std::isnan(sum));
    return out;
  };
  EXPECT_EQ(scale(4, 3), 1.0f);
  EXPECT_FLOAT_EQ(scale(16, 1), static_cast<float>(1 / (4 + 1e-6)));
  EXPECT_EQ(scale(16, 0), 1.0f) << "0: no clipping";
  EXPECT_EQ(scale(std::numeric_limits<double>::infinity(), 1), 0.0f);
  EXPECT_EQ(scale(std::numeric_limits<double>::quiet_NaN(), 1), 0.0f);
}

}  // namespace
}  // namespace sink::kernels::cuda
