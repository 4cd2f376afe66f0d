// Elementary functions, RoPE, cross-entropy, the embedding's gradient and AdamW against formulas in double; gradients
// against finite differences of them.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "kernels/adamw.h"
#include "kernels/cross_entropy.h"
#include "kernels/embedding.h"
#include "kernels/rope.h"
#include "kernels/vector_math.h"
#include "tests/kernels/reference.h"
#include "tests/testing/finite_difference.h"

namespace sink::kernels {
namespace {

TEST(Exp, IsWithinTwoUnitsInTheLastPlace) {
  for (double x = -87; x <= 88; x += 0.0137) {
    const float in = static_cast<float>(x);
    const double expected = std::exp(static_cast<double>(in));
    ASSERT_NEAR(Exp(in), expected, 2.4e-7 * expected) << in;
  }
  EXPECT_GT(Exp(-1e30f), 0);
  EXPECT_LT(Exp(-1e30f), 1e-37);
  EXPECT_TRUE(std::isfinite(Exp(1e30f)));
  EXPECT_TRUE(std::isnan(Exp(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Log, IsWithinItsBound) {
  for (double x = 1e-37; x < 3e38; x *= 1.00137) {
    const float in = static_cast<float>(x);
    const double expected = std::log(static_cast<double>(in));
    ASSERT_NEAR(Log(in), expected, 2e-7 * (1 + std::abs(expected))) << in;
  }
  EXPECT_EQ(Log(1.0f), 0);
  EXPECT_TRUE(std::isnan(Log(std::numeric_limits<float>::quiet_NaN())));
}

TEST(StandardNormal, IsWithinItsBound) {
  for (double x = -15; x <= 15; x += 0.00137) {
    const float in = static_cast<float>(x);
    const double wide = in, density = std::exp(-wide * wide / 2) / std::sqrt(2 * std::numbers::pi);
    const double cumulative = std::erfc(-wide / std::numbers::sqrt2) / 2;
    const Normal normal = StandardNormal(in);
    ASSERT_NEAR(normal.density, density, 3.5e-7) << in;
    ASSERT_NEAR(normal.cumulative, cumulative, 3.5e-7) << in;
    // The lower tail keeps its digits, as a difference of numbers near one would not.
    if (in > -5 && in < 0) {
      ASSERT_NEAR(normal.cumulative, cumulative, 2e-3 * cumulative) << in;
    }
  }
  EXPECT_EQ(StandardNormal(-1e30f).cumulative, 0);
  EXPECT_EQ(StandardNormal(1e30f).cumulative, 1);
  EXPECT_TRUE(std::isnan(StandardNormal(std::numeric_limits<float>::quiet_NaN()).cumulative));
}

TEST(Max, FindsTheLargestAnywhere) {
  for (const int64_t count : {1, 5, 64, 65, 200}) {
    for (int64_t place = 0; place < count; ++place) {
      std::vector<float> x(static_cast<size_t>(count), -3.0f);
      x[static_cast<size_t>(place)] = -1.5f;
      ASSERT_EQ(Max(x.data(), count), -1.5f) << place << " of " << count;
    }
  }
}

TEST(Rope, TurnsAPartOfEachHead) {
  constexpr int kRows = 3, kHeads = 2, kDim = 6, kPart = 4, kWidth = kHeads * kDim;
  const std::vector<float> x = testing::Random(kRows * kWidth, 7), table = testing::Random(kRows * kPart, 8);
  std::vector<float> y(x.size()), in_place = x;
  Rope(x.data(), table.data(), 0, kRows, kRows, kWidth, kHeads, kDim, kPart, false, y.data());
  Rope(in_place.data(), table.data(), 0, kRows, kRows, kWidth, kHeads, kDim, kPart, false, in_place.data());
  EXPECT_EQ(in_place, y);
  // Row 2, head 1: pairs (0, 2) and (1, 3) turned, 4 and 5 as they were.
  const size_t head = 2 * kWidth + kDim, angle = 2 * kPart + 1;
  EXPECT_NEAR(y[head + 1], x[head + 1] * table[angle] - x[head + 3] * table[angle + 2], 1e-6);
  EXPECT_NEAR(y[head + 3], x[head + 3] * table[angle] + x[head + 1] * table[angle + 2], 1e-6);
  EXPECT_EQ(y[head + 4], x[head + 4]);
  EXPECT_EQ(y[head + 5], x[head + 5]);
}

TEST(Rope, TurnsPairsCopiesTheRestAndTurnsBack) {
  constexpr int kLength = 5, kRows = 10, kHeads = 2, kDim = 6, kWidth = kHeads * kDim + 4;
  const std::vector<float> x = testing::Random(kRows * kWidth, 3);
  std::vector<float> table(kLength * kDim), y(x.size()), back(x.size());
  for (int t = 0; t < kLength; ++t) {
    for (int i = 0; i < kDim / 2; ++i) {
      table[t * kDim + i] = static_cast<float>(std::cos(t * std::pow(1e4, -2.0 * i / kDim)));
      table[t * kDim + kDim / 2 + i] = static_cast<float>(std::sin(t * std::pow(1e4, -2.0 * i / kDim)));
    }
  }
  Rope(x.data(), table.data(), 0, kRows, kLength, kWidth, kHeads, kDim, kDim, false, y.data());
  // Row 7 is position 2; head 1, pair 1: a complex number turned by 2 * 1e4^(-1/3).
  const double angle = 2 * std::pow(1e4, -2.0 / kDim);
  const size_t low = 7 * kWidth + kDim + 1, high = low + kDim / 2;
  EXPECT_NEAR(y[low], x[low] * std::cos(angle) - x[high] * std::sin(angle), 1e-6);
  EXPECT_NEAR(y[high], x[high] * std::cos(angle) + x[low] * std::sin(angle), 1e-6);
  EXPECT_EQ(y[7 * kWidth + kHeads * kDim], x[7 * kWidth + kHeads * kDim]);
  Rope(y.data(), table.data(), 0, kRows, kLength, kWidth, kHeads, kDim, kDim, true, back.data());
  EXPECT_LT(testing::RelativeError(back, testing::Wide(x)), 1e-6);
  std::vector<float> in_place = x;  // in two ranges of rows, as two threads would
  Rope(in_place.data(), table.data(), 0, 3, kLength, kWidth, kHeads, kDim, kDim, false, in_place.data());
  Rope(in_place.data(), table.data(), 3, kRows, kLength, kWidth, kHeads, kDim, kDim, false, in_place.data());
  EXPECT_EQ(in_place, y);
}

double ReferenceLoss(const std::vector<double>& logits, const std::vector<int64_t>& target, int vocabulary) {
  double loss = 0;
  for (size_t r = 0; r < target.size(); ++r) {
    double sum = 0;
    for (int v = 0; v < vocabulary; ++v) sum += std::exp(logits[r * vocabulary + v]);
    loss += std::log(sum) - logits[r * vocabulary + target[r]];
  }
  return loss;
}

TEST(CrossEntropy, AgreesWithReferenceAndFiniteDifferences) {
  constexpr int kVocabulary = 101;
  const std::vector<int64_t> target = {0, 100, 57};
  std::vector<float> logits = testing::Random(3 * kVocabulary, 4);
  const std::vector<double> wide = testing::Wide(logits);
  std::vector<float> forward(3), both(3);
  CrossEntropyForward(logits.data(), target.data(), 3, kVocabulary, forward.data());
  CrossEntropyForwardBackward(logits.data(), target.data(), 3, kVocabulary, 0.25f, both.data());
  EXPECT_NEAR(forward[0] + forward[1] + forward[2], ReferenceLoss(wide, target, kVocabulary), 1e-5);
  EXPECT_NEAR(both[0] + both[1] + both[2], ReferenceLoss(wide, target, kVocabulary), 1e-5);
  const auto objective = [&](const std::vector<double>& v) { return 0.25 * ReferenceLoss(v, target, kVocabulary); };
  EXPECT_LT(testing::RelativeError(logits, sink::testing::FiniteDifferences(wide, objective)), 1e-5);
}

TEST(AddToLogSum, TakesAVocabularyInParts) {
  constexpr int kVocabulary = 101, kFirst = 70, kRest = kVocabulary - kFirst;
  std::vector<float> logits = testing::Random(kVocabulary, 4), log_sum = {-std::numeric_limits<float>::infinity()};
  logits[80] = 40;  // of the second part, above everything in the first
  AddToLogSum(logits.data(), 1, kFirst, log_sum.data());
  AddToLogSum(logits.data() + kFirst, 1, kRest, log_sum.data());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  EXPECT_NEAR(log_sum[0], std::log(sum), 1e-5);
  // Rows have nothing to do with one another.
  std::vector<float> two(2, -std::numeric_limits<float>::infinity());
  AddToLogSum(logits.data(), 2, 50, two.data());
  EXPECT_NE(two[0], two[1]);
  AddToLogSum(logits.data() + 50, 1, kVocabulary - 50, two.data());
  EXPECT_NEAR(two[0], std::log(sum), 1e-5);
}

TEST(CrossEntropy, HoldsForLargeLogitsAndPassesNaNOn) {
  const std::vector<int64_t> target = {1};
  std::vector<float> logits = {3e4f, 3e4f - 2, -3e4f};
  float loss = 0;
  CrossEntropyForward(logits.data(), target.data(), 1, 3, &loss);
  EXPECT_NEAR(loss, 2 + std::log1p(std::exp(-2.0)), 1e-3);
  logits[2] = std::numeric_limits<float>::quiet_NaN();
  CrossEntropyForward(logits.data(), target.data(), 1, 3, &loss);
  EXPECT_TRUE(std::isnan(loss));
}

TEST(Embedding, AddsRowsOfRepeatedIds) {
  const std::vector<float> dy = {1, 2, 10, 20, 100, 200};
  const std::vector<int64_t> ids = {2, 0, 2};
  std::vector<float> table(6, 1.0f);
  EmbeddingBackward(dy.data(), ids.data(), 3, 2, 0, 1, table.data());
  EmbeddingBackward(dy.data(), ids.data(), 3, 2, 1, 2, table.data());
  EXPECT_EQ(table, (std::vector<float>{11, 21, 1, 1, 102, 203}));
}

TEST(AdamW, FollowsTheFormula) {
  const std::vector<float> start = testing::Random(33, 5);
  std::vector<float> value = start, first(33), second(33);
  std::vector<double> x = testing::Wide(start), m(33), v(33);
  for (int step = 1; step <= 5; ++step) {
    const std::vector<float> gradient = testing::Random(33, 10 + step);
    AdamW({.learning_rate = 0.01, .weight_decay = 0.1, .step = step, .gradient_scale = 0.5}, 33, gradient.data(),
          value.data(), first.data(), second.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const double g = 0.5 * gradient[i];
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.95 * v[i] + 0.05 * g * g;
      x[i] *= 1 - 0.01 * 0.1;
      x[i] -= 0.01 * (m[i] / (1 - std::pow(0.9, step))) / (std::sqrt(v[i] / (1 - std::pow(0.95, step))) + 1e-8);
    }
  }
  EXPECT_LT(testing::RelativeError(value, x), 1e-6);
  EXPECT_NEAR(SumOfSquares(start.data(), 33), testing::Dot(testing::Wide(start), testing::Wide(start)), 1e-9);
}

}  // namespace
}  // namespace sink::kernels
