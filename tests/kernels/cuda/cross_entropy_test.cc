// Cross-entropy for CUDA on the emulator, against its formula in double and finite differences of that.
#include "kernels/cuda/cross_entropy.cu"

#include <limits>

#include "tests/kernels/cuda/harness.h"

namespace sink::kernels::cuda {
namespace {

double LossOfRow(const double* logits, int64_t vocabulary, int64_t target) {
  double largest = logits[0], sum = 0;
  for (int64_t v = 0; v < vocabulary; ++v) largest = std::max(largest, logits[v]);
  for (int64_t v = 0; v < vocabulary; ++v) sum += std::exp(logits[v] - largest);
  return std::log(sum) + largest - logits[target];
}

template <typename T>
void Check(int64_t rows, int64_t vocabulary, float spread, int64_t offset = 0) {
  SCOPED_TRACE(::testing::Message() << rows << " x " << vocabulary);
  std::vector<float> random = Random(rows * vocabulary, 1);
  for (float& x : random) x *= spread;
  const Buffer<T> logits(random, offset);
  std::vector<int64_t> target;
  for (int64_t row = 0; row < rows; ++row) target.push_back(row * 131 % vocabulary);
  const std::vector<double> values = logits.Values();
  std::vector<double> loss_expected, gradient_expected;
  for (int64_t row = 0; row < rows; ++row) {
    const double* x = values.data() + row * vocabulary;
    loss_expected.push_back(LossOfRow(x, vocabulary, target[static_cast<size_t>(row)]));
    const double log_sum = loss_expected.back() + x[target[static_cast<size_t>(row)]];
    for (int64_t v = 0; v < vocabulary; ++v)
      gradient_expected.push_back(0.25 * (std::exp(x[v] - log_sum) - (v == target[static_cast<size_t>(row)] ? 1 : 0)));
  }
  if (vocabulary < 100) {  // the closed form above is the gradient
    const std::vector<double> slopes = FiniteDifferences(values, [&](const std::vector<double>& x) {
      double sum = 0;
      for (int64_t row = 0; row < rows; ++row)
        sum += 0.25 * LossOfRow(x.data() + row * vocabulary, vocabulary, target[static_cast<size_t>(row)]);
      return sum;
    });
    ASSERT_LT(RelativeError(gradient_expected, slopes), 1e-6);
  }
  const std::vector<double> both = InEveryOrder([&] {
    Buffer<T> x(logits.Values(), offset);
    Buffer<float> loss(rows), alone(rows);
    CrossEntropyForward<T>(nullptr, x.data(), target.data(), rows, vocabulary, alone.data());
    EXPECT_EQ(x.Values(), logits.Values()) << "the loss alone leaves the logits as they are";
    CrossEntropyForwardBackward<T>(nullptr, x.data(), target.data(), rows, vocabulary, 0.25f, loss.data());
    EXPECT_EQ(loss.Values(), alone.Values());
    return Join({x.Values(), loss.Values()});
  });
  const auto behind = both.begin() + rows * vocabulary;
  EXPECT_LT(RelativeError({both.begin(), behind}, gradient_expected), kTolerance<T> + 1e-6);
  EXPECT_LT(RelativeError({behind, both.end()}, loss_expected), 2e-6);
}

TEST(CudaCrossEntropy, AgreesWithFormulaAndItsGradient) {
  Check<float>(3, 7, 1);
  Check<float>(2, 64, 5);
  Check<float>(2, 4101, 3);
  Check<float>(2, 5000, 3);
  Check<Bfloat16>(3, 7, 1);
  Check<Bfloat16>(2, 64, 5);
  Check<Bfloat16>(2, 4101, 3);
  Check<Bfloat16>(2, 8192 + 72, 3);
  Check<Bfloat16>(2, 64, 1, 1);
}

TEST(CudaCrossEntropy, LargeLogitsDoNotOverflowAndHiddenOnesDoNotCount) {
  constexpr double kHidden = -std::numeric_limits<double>::infinity();
  const Buffer<float> logits(std::vector<double>{1e4, 9990, kHidden, kHidden, kHidden, kHidden, kHidden, kHidden});
  Buffer<float> x(logits.Values()), loss(1);
  const int64_t target = 1;
  CrossEntropyForwardBackward<float>(nullptr, x.data(), &target, 1, 8, 1.0f, loss.data());
  EXPECT_NEAR(loss.Values()[0], 10 + std::log1p(std::exp(-10.0)), 1e-3);
  EXPECT_NEAR(x.Values()[1], -1, 1e-3);
  EXPECT_EQ(x.Values()[2], 0);
  EXPECT_EQ(x.Values()[7], 0);
}

TEST(CudaCrossEntropy, NanAndUnknownTargetsGiveNan) {
  Buffer<float> logits(std::vector<double>{1, std::numeric_limits<double>::quiet_NaN(), 2, 1, 2, 3}), loss(2);
  const std::vector<int64_t> target = {0, 3};
  CrossEntropyForwardBackward<float>(nullptr, logits.data(), target.data(), 2, 3, 1.0f, loss.data());
  EXPECT_TRUE(std::isnan(loss.Values()[0]));
  EXPECT_TRUE(std::isnan(loss.Values()[1]));
}

}  // namespace
}  // namespace sink::kernels::cuda
