// FeedForwardUnit on the fused path against ATen's formula in double: values and gradients of every activation, gated
// and not, and whatever the number of threads.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <tuple>

#include "model/network/operations.h"
#include "tests/model/helpers/random_tensors.h"

namespace sink {
namespace {

using kernels::Activation;

class FeedForwardUnitTest : public ::testing::TestWithParam<std::tuple<Activation, bool>> {};

struct Result {
  at::Tensor y, dx;
};

Result Apply(const at::Tensor& input, const at::Tensor& dy) {
  const auto [activation, gated] = FeedForwardUnitTest::GetParam();
  const at::Tensor x = input.detach().clone().requires_grad_();
  const at::Tensor y = FeedForwardUnit(x, activation, gated);
  y.backward(dy);
  return {y.detach(), x.grad()};
}

// 1000 rows are more than one thread's share.
TEST_P(FeedForwardUnitTest, FusedAndAtenAgree) {
  constexpr int64_t kRows = 1000, kWidth = 37;
  testing::RandomTensors random(1);
  const at::Tensor x = 2 * random.Normal({kRows, std::get<bool>(GetParam()) ? 2 * kWidth : kWidth});
  const at::Tensor dy = random.Normal({kRows, kWidth});
  const Result fused = Apply(x, dy), wide = Apply(x.to(at::kDouble), dy.to(at::kDouble));
  ASSERT_EQ(fused.y.sizes(), wide.y.sizes());
  EXPECT_LT((fused.y - wide.y).norm().item<double>(), 1e-6 * wide.y.norm().item<double>());
  EXPECT_LT((fused.dx - wide.dx).norm().item<double>(), 1e-6 * wide.dx.norm().item<double>());
  at::set_num_threads(2);
  const Result threads = Apply(x, dy);
  at::set_num_threads(1);
  EXPECT_TRUE(threads.y.equal(fused.y));
  EXPECT_TRUE(threads.dx.equal(fused.dx));
}

INSTANTIATE_TEST_SUITE_P(Activations, FeedForwardUnitTest,
                         ::testing::Combine(::testing::Values(Activation::kSilu, Activation::kGelu, Activation::kRelu),
                                            ::testing::Bool()));

}  // namespace
}  // namespace sink
