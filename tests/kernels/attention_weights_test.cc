// Attention weights of one row against their formulas in double, and the gradients of scores against finite differences
// of those formulas.
#include "kernels/attention_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "tests/testing/finite_difference.h"

namespace sink::kernels {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();

struct Case {
  std::string name;
  WeightRule rule;
  double column = kNone;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

bool IsVisible(const VisibleKeys& visible, int64_t k) {
  return k < visible.prefix || (k >= visible.first && k < visible.last);
}

// The formulas of attention_weights.h.
std::vector<double> Reference(const Case& c, const VisibleKeys& visible, const std::vector<double>& scores) {
  std::vector<double> weights(scores.size());
  double z = std::isinf(c.column) ? 0 : std::exp(c.column), largest = kNone;
  for (size_t k = 0; k < scores.size(); ++k) {
    if (!IsVisible(visible, static_cast<int64_t>(k))) continue;
    const double s = scores[k];
    double& w = weights[k];
    switch (c.rule.similarity) {
      case Similarity::kSoftmax:
        w = std::exp(s);
        break;
      case Similarity::kSigmoid:
        w = 1 / (1 + std::exp(-s));
        break;
      case Similarity::kEluPlusOne:
        w = s > 0 ? s + 1 : std::exp(s);
        break;
      case Similarity::kIdentity:
        w = s;
        break;
      case Similarity::kSoftpick:
        w = std::max(std::exp(s) - 1, 0.0);
        break;
    }
    z += c.rule.similarity == Similarity::kSoftpick ? std::abs(std::exp(s) - 1) : w;
    largest = std::max(largest, s);
  }
  if (c.rule.similarity == Similarity::kSoftpick) {
    z += 1e-6 * std::exp(largest);
  } else if (c.rule.similarity != Similarity::kSoftmax) {
    if (c.rule.normalizer == Normalizer::kNone) z = 1;
    if (c.rule.normalizer == Normalizer::kSum) z += 1e-8;
    if (c.rule.normalizer == Normalizer::kSumOrOne) z = std::max(std::abs(z), 1.0);
  }
  for (double& w : weights) w /= z;
  return weights;
}

class AttentionWeightsTest : public ::testing::TestWithParam<Case> {
 protected:
  std::vector<double> Random(size_t count, double deviation) {
    std::vector<double> values(count);
    for (double& x : values) x = deviation * std::normal_distribution<double>()(generator_);
    return values;
  }
  std::mt19937 generator_{7};
  const std::vector<VisibleKeys> views_ = {{0, 0, 1}, {0, 0, 40}, {0, 0, 77}, {0, 13, 60}, {5, 30, 61}, {5, 5, 5}};
};

TEST_P(AttentionWeightsTest, FollowTheFormula) {
  for (const VisibleKeys& visible : views_) {
    const std::vector<double> scores = Random(77, 3);
    std::vector<float> row(scores.begin(), scores.end());
    AttentionWeights(GetParam().rule, visible, 77, static_cast<float>(GetParam().column), row.data());
    const std::vector<double> expected = Reference(GetParam(), visible, {scores.begin(), scores.end()});
    for (size_t k = 0; k < row.size(); ++k) {
      ASSERT_NEAR(row[k], expected[k], 3e-6 * (1 + std::abs(expected[k]))) << k;
      const bool hidden = !IsVisible(visible, static_cast<int64_t>(k));
      ASSERT_TRUE(!hidden || row[k] == 0.0f) << k;
    }
  }
}

TEST_P(AttentionWeightsTest, GradientIsThatOfTheFormula) {
  for (const VisibleKeys& visible : views_) {
    const std::vector<double> scores = Random(77, 1.5), slopes = Random(77, 1);
    const auto loss = [&](const std::vector<double>& s) {
      const std::vector<double> weights = Reference(GetParam(), visible, s);
      double sum = 0;
      for (size_t k = 0; k < weights.size(); ++k) sum += weights[k] * slopes[k];
      return sum;
    };
    std::vector<float> row(scores.begin(), scores.end()), again = row, gradient(slopes.begin(), slopes.end());
    const float log_sum =
        AttentionWeights(GetParam().rule, visible, 77, static_cast<float>(GetParam().column), row.data());
    AttentionWeightsBackward(GetParam().rule, visible, 77, log_sum, static_cast<float>(loss(scores)), again.data(),
                             gradient.data());
    const std::vector<double> expected = sink::testing::FiniteDifferences(scores, loss, /*step=*/1e-6);
    for (size_t k = 0; k < row.size(); ++k) {
      ASSERT_NEAR(again[k], row[k], 2e-6 * (1 + std::abs(row[k]))) << k;
      ASSERT_NEAR(gradient[k], expected[k], 5e-5) << k;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, AttentionWeightsTest,
                         ::testing::Values(Case{"softmax", {Similarity::kSoftmax, Normalizer::kSum}},
                                           Case{"softmax_column", {Similarity::kSoftmax, Normalizer::kSum}, 0.5},
                                           Case{"sigmoid", {Similarity::kSigmoid, Normalizer::kNone}},
                                           Case{"sigmoid_sum", {Similarity::kSigmoid, Normalizer::kSum}},
                                           Case{"elu", {Similarity::kEluPlusOne, Normalizer::kNone}},
                                           Case{"elu_sum", {Similarity::kEluPlusOne, Normalizer::kSum}},
                                           Case{"identity", {Similarity::kIdentity, Normalizer::kNone}},
                                           Case{"identity_sum_or_one", {Similarity::kIdentity, Normalizer::kSumOrOne}},
                                           Case{"softpick", {Similarity::kSoftpick, Normalizer::kSum}}),
                         [](const auto& info) { return info.param.name; });

TEST(AttentionWeights, SoftmaxSurvivesLargeScores) {
  std::vector<float> row = {1000, 999, -1000};
  const float log_sum = AttentionWeights({}, {0, 0, 3}, 3, -std::numeric_limits<float>::infinity(), row.data());
  EXPECT_NEAR(row[0], 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(row[2], 0, 1e-30);
  EXPECT_NEAR(log_sum, 1000 + std::log(1 + std::exp(-1.0)), 1e-3);
}

}  // namespace
}  // namespace sink::kernels
