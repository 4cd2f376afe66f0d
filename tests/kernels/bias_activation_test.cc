// Bias and activation in place against formulas in double; limits, NaN, and no bias.
#include "kernels/bias_activation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "tests/kernels/reference.h"

namespace sink::kernels {
namespace {

constexpr int kRows = 3, kWidth = 37;

struct Case {
  BiasActivation activation;
  double (*formula)(double);
};

const Case kCases[] = {
    {BiasActivation::kSilu, [](double x) { return x / (1 + std::exp(-x)); }},
    {BiasActivation::kGelu, [](double x) { return x * std::erfc(-x / std::numbers::sqrt2) / 2; }},
    {BiasActivation::kGeluTanh,
     [](double x) { return x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x))) / 2; }},
    {BiasActivation::kRelu, [](double x) { return std::max(x, 0.0); }},
};

TEST(BiasActivation, AgreesWithItsFormula) {
  const std::vector<float> x = testing::Random(kRows * kWidth, 1), bias = testing::Random(kWidth, 2);
  for (const Case& c : kCases) {
    std::vector<float> with = x, without = x;
    AddBiasAndActivate(c.activation, bias.data(), kRows, kWidth, with.data());
    AddBiasAndActivate(c.activation, nullptr, kRows, kWidth, without.data());
    std::vector<double> expected, plain;
    for (size_t i = 0; i < x.size(); ++i) {
      expected.push_back(c.formula(static_cast<double>(x[i]) + bias[i % kWidth]));
      plain.push_back(c.formula(x[i]));
    }
    EXPECT_LT(testing::RelativeError(with, expected), 1e-6) << &c - kCases;
    EXPECT_LT(testing::RelativeError(without, plain), 1e-6) << &c - kCases;
  }
}

TEST(BiasActivation, HoldsAtTheEndsAndPassesNaNOn) {
  for (const Case& c : kCases) {
    std::vector<float> x = {-1e4f, 1e4f, std::numeric_limits<float>::quiet_NaN()};
    AddBiasAndActivate(c.activation, nullptr, 1, 3, x.data());
    EXPECT_NEAR(x[0], 0, 1e-30) << &c - kCases;
    EXPECT_EQ(x[1], 1e4f) << &c - kCases;
    EXPECT_TRUE(std::isnan(x[2])) << &c - kCases;
  }
}

}  // namespace
}  // namespace sink::kernels
