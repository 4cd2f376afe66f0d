// RMSNorm on a CPU against a reference in double, whose own gradient is checked by finite differences.
#include "kernels/rmsnorm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "tests/kernels/reference.h"
#include "tests/testing/finite_difference.h"

namespace sink::kernels {
namespace {

class RmsNorm : public ::testing::TestWithParam<std::pair<int, int>> {};

TEST_P(RmsNorm, ForwardAgreesWithReference) {
  const auto [rows, columns] = GetParam();
  const std::vector<float> x = testing::Random(rows * columns, 1), weight = testing::Random(columns, 2);
  const std::vector<double> expected = testing::RmsNorm(testing::Wide(x), testing::Wide(weight), rows, columns);
  std::vector<float> y(x.size()), inverse_rms(rows);
  RmsNormForward(x.data(), weight.data(), 1e-5f, rows, columns, y.data(), inverse_rms.data());
  EXPECT_LT(testing::RelativeError(y, expected), 1e-6);
}

TEST_P(RmsNorm, BackwardAgreesWithFiniteDifferences) {
  const auto [rows, columns] = GetParam();
  const std::vector<float> x = testing::Random(rows * columns, 3), weight = testing::Random(columns, 4);
  const std::vector<float> dy = testing::Random(rows * columns, 5);
  std::vector<float> y(x.size()), inverse_rms(rows), dx(x.size()), dweight(columns, 0.5f);
  RmsNormForward(x.data(), weight.data(), 1e-5f, rows, columns, y.data(), inverse_rms.data());
  RmsNormBackward(dy.data(), x.data(), weight.data(), inverse_rms.data(), rows, columns, dx.data(), dweight.data());
  const auto objective = [&](const std::vector<double>& x_in, const std::vector<double>& weight_in) {
    return testing::Dot(testing::RmsNorm(x_in, weight_in, rows, columns), testing::Wide(dy));
  };
  const std::vector<double> dx_expected = sink::testing::FiniteDifferences(
      testing::Wide(x), [&](const std::vector<double>& v) { return objective(v, testing::Wide(weight)); });
  std::vector<double> dweight_expected = sink::testing::FiniteDifferences(
      testing::Wide(weight), [&](const std::vector<double>& v) { return objective(testing::Wide(x), v); });
  for (double& value : dweight_expected) value += 0.5;  // the kernel adds
  EXPECT_LT(testing::RelativeError(dx, dx_expected), 1e-5);
  EXPECT_LT(testing::RelativeError(dweight, dweight_expected), 1e-5);
}

TEST_P(RmsNorm, BackwardMayWriteOverItsInput) {
  const auto [rows, columns] = GetParam();
  const std::vector<float> x = testing::Random(rows * columns, 6), weight = testing::Random(columns, 7);
  std::vector<float> dy = testing::Random(rows * columns, 8);
  std::vector<float> y(x.size()), inverse_rms(rows), dx(x.size()), first(columns), second(columns);
  RmsNormForward(x.data(), weight.data(), 1e-5f, rows, columns, y.data(), inverse_rms.data());
  RmsNormBackward(dy.data(), x.data(), weight.data(), inverse_rms.data(), rows, columns, dx.data(), first.data());
  RmsNormBackward(dy.data(), x.data(), weight.data(), inverse_rms.data(), rows, columns, dy.data(), second.data());
  EXPECT_EQ(dx, dy);
  EXPECT_EQ(first, second);
}

TEST_P(RmsNorm, OfASumIsTheSumAndItsNorm) {
  const auto [rows, columns] = GetParam();
  const std::vector<float> x = testing::Random(rows * columns, 9), residual = testing::Random(rows * columns, 10);
  const std::vector<float> weight = testing::Random(columns, 11);
  std::vector<float> expected(x.size()), y(x.size()), sum(x.size()), inverse_rms(rows), inverse_rms_expected(rows);
  std::vector<float> sum_expected = x;
  for (size_t i = 0; i < x.size(); ++i) sum_expected[i] += residual[i];
  RmsNormForward(sum_expected.data(), weight.data(), 1e-5f, rows, columns, expected.data(),
                 inverse_rms_expected.data());
  AddRmsNormForward(x.data(), residual.data(), weight.data(), 1e-5f, rows, columns, sum.data(), y.data(),
                    inverse_rms.data());
  EXPECT_EQ(sum, sum_expected);
  EXPECT_LT(testing::RelativeError(y, testing::Wide(expected)), 1e-6);
  EXPECT_LT(testing::RelativeError(inverse_rms, testing::Wide(inverse_rms_expected)), 1e-6);
}

TEST_P(RmsNorm, BackwardAddsWhatComesByAnotherWay) {
  const auto [rows, columns] = GetParam();
  const std::vector<float> x = testing::Random(rows * columns, 12), weight = testing::Random(columns, 13);
  const std::vector<float> dy = testing::Random(rows * columns, 14), other = testing::Random(rows * columns, 15);
  std::vector<float> y(x.size()), inverse_rms(rows), alone(x.size()), dx(x.size()), first(columns), second(columns);
  RmsNormForward(x.data(), weight.data(), 1e-5f, rows, columns, y.data(), inverse_rms.data());
  RmsNormBackward(dy.data(), x.data(), weight.data(), inverse_rms.data(), rows, columns, alone.data(), first.data());
  RmsNormBackward(dy.data(), x.data(), weight.data(), inverse_rms.data(), rows, columns, dx.data(), second.data(),
                  other.data());
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(dx[i], alone[i] + other[i]);
  EXPECT_EQ(first, second);
}

INSTANTIATE_TEST_SUITE_P(Shapes, RmsNorm,
                         ::testing::Values(std::pair(1, 3), std::pair(3, 7), std::pair(5, 64), std::pair(2, 131)));

TEST(RmsNormChecks, RefusesWhatItCannotDo) {
  float value = 1;
  EXPECT_THROW(RmsNormForward(&value, &value, 1e-5f, 1, 0, &value, &value), std::invalid_argument);
  EXPECT_THROW(RmsNormForward(nullptr, &value, 1e-5f, 1, 1, &value, &value), std::invalid_argument);
  EXPECT_NO_THROW(RmsNormForward(nullptr, nullptr, 1e-5f, 0, 4, nullptr, nullptr));
}

}  // namespace
}  // namespace sink::kernels
