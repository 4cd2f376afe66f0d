// Causal attention of one head against its formula in double, and its gradients against finite differences of that:
// strips that are not full, rows that lie apart, heads that share keys, weights that are kept and made anew.
#include "kernels/causal_head.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/kernels/reference.h"
#include "tests/testing/finite_difference.h"

namespace sink::kernels {
namespace {

struct Shape {
  int64_t length, dim;
};

class CausalHeads : public ::testing::TestWithParam<Shape> {
 protected:
  const int64_t length_ = GetParam().length, dim_ = GetParam().dim, count_ = length_ * dim_;
  const int64_t row_ = 3 * dim_ + 5, output_row_ = dim_ + 3;  // merged rows, and outputs of more heads than this one

  CausalHead Head(const std::vector<float>& merged) const {
    return {merged.data(), merged.data() + dim_, merged.data() + 2 * dim_, row_, length_, dim_};
  }
  std::vector<float> Scratch() const { return std::vector<float>(CausalHeadScratch(length_, dim_), NAN); }
  std::vector<float> Weights() const { return std::vector<float>(CausalHeadWeights(length_), NAN); }

  // The output, dense, and log_sum.
  std::vector<double> Output(const std::vector<double>& merged, std::vector<double>* log_sum = nullptr) const {
    std::vector<double> out(count_);
    const auto at = [&](int64_t token, int64_t part, int64_t d) { return merged[token * row_ + part * dim_ + d]; };
    for (int64_t i = 0; i < length_; ++i) {
      std::vector<double> scores(i + 1);
      for (int64_t j = 0; j <= i; ++j) {
        for (int64_t d = 0; d < dim_; ++d) scores[j] += at(i, 0, d) * at(j, 1, d);
        scores[j] /= std::sqrt(dim_);
      }
      const double largest = *std::max_element(scores.begin(), scores.end());
      double sum = 0;
      for (int64_t j = 0; j <= i; ++j) {
        const double weight = std::exp(scores[j] - largest);
        sum += weight;
        for (int64_t d = 0; d < dim_; ++d) out[i * dim_ + d] += weight * at(j, 2, d);
      }
      for (int64_t d = 0; d < dim_; ++d) out[i * dim_ + d] /= sum;
      if (log_sum) log_sum->push_back(largest + std::log(sum));
    }
    return out;
  }

  std::vector<float> Dense(const std::vector<float>& x, int64_t row) const {
    std::vector<float> dense;
    for (int64_t i = 0; i < length_; ++i) dense.insert(dense.end(), x.begin() + i * row, x.begin() + i * row + dim_);
    return dense;
  }
};

TEST_P(CausalHeads, OutputFollowsTheFormula) {
  const std::vector<float> merged = testing::Random(length_ * row_, 1);
  std::vector<float> output(length_ * output_row_, 7.0f), log_sum(length_), scratch = Scratch();
  CausalHeadForward(Head(merged), scratch.data(), output.data(), output_row_, log_sum.data(), nullptr);
  std::vector<double> log_sum_expected;
  EXPECT_LT(testing::RelativeError(Dense(output, output_row_), Output(testing::Wide(merged), &log_sum_expected)), 1e-6);
  EXPECT_LT(testing::RelativeError(log_sum, log_sum_expected), 1e-6);
  for (int64_t i = 0; i < length_; ++i)
    for (int64_t d = dim_; d < output_row_; ++d) ASSERT_EQ(output[i * output_row_ + d], 7.0f) << "between rows";
}

TEST_P(CausalHeads, WhatIsKeptChangesNoOutput) {
  const std::vector<float> merged = testing::Random(length_ * row_, 1);
  std::vector<float> output(length_ * output_row_), log_sum(length_), scratch = Scratch();
  CausalHeadForward(Head(merged), scratch.data(), output.data(), output_row_, log_sum.data(), nullptr);
  std::vector<float> same(output.size()), same_sum(length_), weights = Weights();
  weights.push_back(7.0f);
  scratch = Scratch();
  CausalHeadForward(Head(merged), scratch.data(), same.data(), output_row_, same_sum.data(), weights.data());
  EXPECT_EQ(same, output);
  EXPECT_EQ(same_sum, log_sum);
  EXPECT_EQ(weights.back(), 7.0f) << "beyond the weights";
}

TEST_P(CausalHeads, GradientsAreThoseOfTheFormula) {
  const std::vector<float> merged = testing::Random(length_ * row_, 2);
  const std::vector<float> dy = testing::Random(length_ * output_row_, 3);
  std::vector<float> output(dy.size()), log_sum(length_), scratch = Scratch(), weights = Weights();
  CausalHeadForward(Head(merged), scratch.data(), output.data(), output_row_, log_sum.data(), weights.data());
  std::vector<float> gradient(merged.size(), 0.5f);
  const auto backward = [&](const float* kept, bool add) {
    float* out = gradient.data();
    scratch = Scratch();
    CausalHeadBackward(Head(merged), output.data(), dy.data(), output_row_, log_sum.data(), kept, scratch.data(),
                       {out, out + dim_, out + 2 * dim_, row_, add});
  };
  const std::vector<double> dy_dense = testing::Wide(Dense(dy, output_row_));
  std::vector<double> expected = sink::testing::FiniteDifferences(
      testing::Wide(merged), [&](const std::vector<double>& x) { return testing::Dot(Output(x), dy_dense); });
  for (int64_t i = 0; i < length_; ++i)  // of the values between the heads nothing is written
    for (int64_t w = 3 * dim_; w < row_; ++w) expected[i * row_ + w] = 0.5;
  std::vector<double> doubled = expected;  // keys and values once more, queries anew
  for (int64_t i = 0; i < length_; ++i)
    for (int64_t w = dim_; w < 3 * dim_; ++w) doubled[i * row_ + w] *= 2;
  for (const float* kept : {static_cast<const float*>(nullptr), static_cast<const float*>(weights.data())}) {
    SCOPED_TRACE(kept ? "from the weights that were kept" : "from weights made anew");
    backward(kept, /*add=*/false);
    EXPECT_LT(testing::RelativeError(gradient, expected), 1e-6);
    backward(kept, /*add=*/true);
    EXPECT_LT(testing::RelativeError(gradient, doubled), 1e-6);
  }
}

TEST_P(CausalHeads, LargeScoresStayFinite) {
  std::vector<float> merged = testing::Random(length_ * row_, 4);
  for (float& x : merged) x *= 30;
  std::vector<float> output(length_ * output_row_), log_sum(length_), scratch = Scratch();
  CausalHeadForward(Head(merged), scratch.data(), output.data(), output_row_, log_sum.data(), nullptr);
  EXPECT_LT(testing::RelativeError(Dense(output, output_row_), Output(testing::Wide(merged))), 1e-3);
}

// A query that an optimizer has blown up is seen in its own output and in no earlier one.
TEST_P(CausalHeads, LaterTokensChangeNothingBefore) {
  std::vector<float> merged = testing::Random(length_ * row_, 5), scratch = Scratch();
  std::vector<float> before(length_ * output_row_), after(before), log_sum(length_);
  CausalHeadForward(Head(merged), scratch.data(), before.data(), output_row_, log_sum.data(), nullptr);
  for (int64_t w = 0; w < row_; ++w) merged[(length_ - 1) * row_ + w] = 1e4f;
  CausalHeadForward(Head(merged), scratch.data(), after.data(), output_row_, log_sum.data(), nullptr);
  for (int64_t i = 0; i + 1 < length_; ++i)
    for (int64_t d = 0; d < dim_; ++d) ASSERT_EQ(before[i * output_row_ + d], after[i * output_row_ + d]) << i;
}

INSTANTIATE_TEST_SUITE_P(Shapes, CausalHeads,
                         ::testing::Values(Shape{1, 8}, Shape{7, 8}, Shape{16, 8}, Shape{17, 8}, Shape{33, 8},
                                           Shape{35, 12}, Shape{22, 4}, Shape{19, 24}, Shape{24, 32}));

}  // namespace
}  // namespace sink::kernels
