// Every activation, gated and not, against its formula in double, gradients against finite differences of it; limits
// and NaN; rows do not depend on their neighbours.
#include "kernels/feed_forward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "tests/kernels/reference.h"
#include "tests/testing/finite_difference.h"

namespace sink::kernels {
namespace {

constexpr int kRows = 3, kWidth = 37;

double Reference(Activation activation, double x) {
  switch (activation) {
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kGelu:
      return x * std::erfc(-x / std::numbers::sqrt2) / 2;
    case Activation::kRelu:
      return std::max(x, 0.0);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::vector<double> Reference(Activation activation, const std::vector<double>& x) {
  std::vector<double> y;
  for (const double value : x) y.push_back(Reference(activation, value));
  return y;
}

std::vector<double> GatedReference(Activation activation, const std::vector<double>& x) {
  std::vector<double> y;
  for (int r = 0; r < kRows; ++r)
    for (int f = 0; f < kWidth; ++f)
      y.push_back(Reference(activation, x[r * 2 * kWidth + f]) * x[r * 2 * kWidth + kWidth + f]);
  return y;
}

class FeedForward : public ::testing::TestWithParam<Activation> {};

TEST_P(FeedForward, GatedAgreesWithReferenceAndFiniteDifferences) {
  const std::vector<float> x = testing::Random(kRows * 2 * kWidth, 1), dy = testing::Random(kRows * kWidth, 2);
  std::vector<float> y(dy.size()), dx(x.size());
  GatedForward(GetParam(), x.data(), kRows, kWidth, y.data());
  GatedBackward(GetParam(), dy.data(), x.data(), kRows, kWidth, dx.data());
  EXPECT_LT(testing::RelativeError(y, GatedReference(GetParam(), testing::Wide(x))), 1e-6);
  const auto objective = [&](const std::vector<double>& v) {
    return testing::Dot(GatedReference(GetParam(), v), testing::Wide(dy));
  };
  EXPECT_LT(testing::RelativeError(dx, sink::testing::FiniteDifferences(testing::Wide(x), objective)), 1e-6);
}

TEST_P(FeedForward, UngatedAgreesWithReferenceAndFiniteDifferences) {
  const std::vector<float> x = testing::Random(kRows * kWidth, 3), dy = testing::Random(kRows * kWidth, 4);
  std::vector<float> y(x.size()), dx(x.size());
  ActivationForward(GetParam(), x.data(), kRows, kWidth, y.data());
  ActivationBackward(GetParam(), dy.data(), x.data(), kRows, kWidth, dx.data());
  EXPECT_LT(testing::RelativeError(y, Reference(GetParam(), testing::Wide(x))), 1e-6);
  const auto objective = [&](const std::vector<double>& v) {
    return testing::Dot(Reference(GetParam(), v), testing::Wide(dy));
  };
  EXPECT_LT(testing::RelativeError(dx, sink::testing::FiniteDifferences(testing::Wide(x), objective)), 1e-6);
}

// Far out an activation is the identity or nothing. A diverging run must show: NaN is not lost. The row is long enough
// to fill vectors and leave a rest.
TEST_P(FeedForward, LimitsAndNan) {
  struct Case {
    float x, y, slope;
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const Case& c : {Case{-100, 0, 0}, Case{100, 100, 1}, Case{kNan, kNan, kNan}}) {
    const std::vector<float> x(kWidth, c.x), dy(kWidth, 1.0f);
    std::vector<float> y(kWidth), dx(kWidth);
    ActivationForward(GetParam(), x.data(), 1, kWidth, y.data());
    ActivationBackward(GetParam(), dy.data(), x.data(), 1, kWidth, dx.data());
    for (int f = 0; f < kWidth; ++f) {
      if (std::isnan(c.x)) {
        ASSERT_TRUE(std::isnan(y[f])) << f;
        ASSERT_TRUE(GetParam() == Activation::kRelu || std::isnan(dx[f])) << f;
      } else {
        ASSERT_NEAR(y[f], c.y, 1e-30) << f;
        ASSERT_NEAR(dx[f], c.slope, 1e-30) << f;
      }
    }
  }
}

// A row has the same bits alone and among others, wherever it lies in memory: the division among threads cannot be
// seen.
TEST_P(FeedForward, RowsDoNotDependOnTheirNeighbours) {
  constexpr int kMany = 2000, kLength = kWidth * kMany;
  const std::vector<float> x = testing::Random(2 * kLength, 5), dy = testing::Random(kLength, 6);
  std::vector<float> y(kLength), dx(kLength), gated_y(kLength), gated_dx(2 * kLength);
  ActivationForward(GetParam(), x.data(), kMany, kWidth, y.data());
  ActivationBackward(GetParam(), dy.data(), x.data(), kMany, kWidth, dx.data());
  GatedForward(GetParam(), x.data(), kMany, kWidth, gated_y.data());
  GatedBackward(GetParam(), dy.data(), x.data(), kMany, kWidth, gated_dx.data());
  for (int row = 0; row < kMany; ++row) {
    std::vector<float> memory(16 + 2 * kWidth);
    float* out = memory.data() + row % 16;
    const auto equal = [&](const std::vector<float>& whole, int width) {
      return std::equal(out, out + width, whole.data() + row * width);
    };
    const float *in = x.data() + row * kWidth, *gate_up = x.data() + row * 2 * kWidth;
    const float* gradient = dy.data() + row * kWidth;
    ActivationForward(GetParam(), in, 1, kWidth, out);
    ASSERT_TRUE(equal(y, kWidth)) << row;
    ActivationBackward(GetParam(), gradient, in, 1, kWidth, out);
    ASSERT_TRUE(equal(dx, kWidth)) << row;
    GatedForward(GetParam(), gate_up, 1, kWidth, out);
    ASSERT_TRUE(equal(gated_y, kWidth)) << row;
    GatedBackward(GetParam(), gradient, gate_up, 1, kWidth, out);
    ASSERT_TRUE(equal(gated_dx, 2 * kWidth)) << row;
  }
}

std::string Name(const ::testing::TestParamInfo<Activation>& activation) {
  switch (activation.param) {
    case Activation::kSilu:
      return "Silu";
    case Activation::kGelu:
      return "Gelu";
    case Activation::kRelu:
      return "Relu";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(Activations, FeedForward,
                         ::testing::Values(Activation::kSilu, Activation::kGelu, Activation::kRelu), Name);

}  // namespace
}  // namespace sink::kernels
