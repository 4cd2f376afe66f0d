// Attention for CUDA on the emulator: the forward pass against double, every kind, both types, widths of heads and
// lengths around those of the tiles.
#include "kernels/cuda/attention_forward.cu"

#include "tests/kernels/cuda/attention_cases.h"

namespace sink::kernels::cuda {
namespace {

template <typename T>
std::vector<double> Forward(const Inputs<T>& in, const AttentionRule& rule) {
  Buffer<T> output(in.gradient.size());
  Buffer<float> row(in.shape.batch * in.shape.heads * in.shape.length);
  AttentionForward<T>(nullptr, in.qkv.data(), in.shape, rule, in.Terms(), output.data(), row.data());
  return Join({output.Values(), row.Values()});
}

template <typename T>
void Check(const Case& c, const AttentionShape& shape, bool in_every_order = false) {
  SCOPED_TRACE(::testing::Message() << c.name << ", length " << shape.length << ", head of " << shape.head_dim << ", "
                                    << sizeof(T) << " bytes");
  const Inputs<T> in(c, shape);
  const auto run = [&] { return Forward(in, c.rule); };
  const std::vector<double> result = in_every_order ? InEveryOrder(run) : run();
  const ReferenceResult expected = Attention(in.qkv.Values(), shape, c.rule, in.Wide());
  const auto behind = result.begin() + in.gradient.size();
  EXPECT_LT(RelativeError({result.begin(), behind}, expected.output), kAttentionTolerance<T>);
  EXPECT_LT(RelativeError({behind, result.end()}, expected.row), 5e-6);
}

class CudaAttentionForward : public ::testing::TestWithParam<Case> {};

TEST_P(CudaAttentionForward, AgreesWithFormulaWhateverTheOrderOfThreads) {
  Check<Bfloat16>(GetParam(), {1, 150, 1, 1, 32}, true);
  Check<float>(GetParam(), {1, 77, 1, 1, 20}, true);
}

TEST_P(CudaAttentionForward, AgreesWithFormulaInGroupsAndBatches) {
  Check<Bfloat16>(GetParam(), {2, 131, 4, 2, 16});
  Check<float>(GetParam(), {2, 67, 4, 2, 9});
}

INSTANTIATE_TEST_SUITE_P(Kinds, CudaAttentionForward, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

// Kinds whose weights are not exponentials, over several tiles of the widest heads that the study has.
TEST(CudaAttentionForwardShapes, OtherKindsThanSoftmaxOverSeveralTilesOfTheStudysHeads) {
  for (const Case& c : Cases()) {
    if (c.rule.weights.similarity == Similarity::kSoftmax) continue;
    Check<Bfloat16>(c, {1, 150, 1, 1, 96});
    Check<float>(c, {1, 77, 1, 1, 96});
  }
}

// A barrier, wait or index that is wrong in this very kernel turns a comparison red. What is done again behind the
// loop, for queries that see no key, is the exception: here all see themselves.
TEST(CudaAttentionForwardFaults, Show) {
  const auto run = [](const auto& in) { return [&in] { return Forward(in, Cases()[0].rule); }; };
  const Inputs<Bfloat16> tensor_cores(Cases()[0], {1, 150, 1, 1, 32});
  const Inputs<float> plain(Cases()[0], {1, 77, 1, 1, 20});
  for (const auto& [type, hidden] : {std::pair("bf16", HiddenFaults(run(tensor_cores), kAttentionTolerance<Bfloat16>)),
                                     std::pair("float", HiddenFaults(run(plain), kAttentionTolerance<float>))}) {
    EXPECT_EQ(hidden.size(), 2u) << type << "\n" << Describe(hidden);
  }
}

TEST(CudaAttentionForwardShapes, EveryWidthOfHeadAndLengthsAroundTheTiles) {
  const Case causal = Cases()[0], all = Cases()[8];
  for (const int64_t dim : {7, 8, 32, 64, 96, 100, 128}) {
    Check<Bfloat16>(all, {1, 65, 1, 1, dim});
    Check<float>(all, {1, 33, 1, 1, dim});
  }
  for (const int64_t length : {1, 2, 63, 64, 127, 128, 129, 193}) {
    Check<Bfloat16>(causal, {1, length, 1, 1, 8});
    Check<float>(causal, {1, length, 1, 1, 8});
  }
}

// Scores of hundreds, where an exponential without the running maximum overflows.
TEST(CudaAttentionForwardShapes, LargeScoresDoNotOverflow) {
  for (const size_t kind : {0, 9}) {
    const Case c = Cases()[kind];
    const AttentionShape shape{1, 70, 1, 1, 16};
    const Inputs<float> in(c, shape, 6.0f);
    const std::vector<double> result = Forward(in, c.rule);
    const ReferenceResult expected = Attention(in.qkv.Values(), shape, c.rule, in.Wide());
    EXPECT_LT(RelativeError({result.begin(), result.begin() + in.gradient.size()}, expected.output), 5e-5);
  }
}

TEST(CudaAttentionForwardShapes, WhatCannotBeDoneIsRefused) {
  const Inputs<float> in(Cases()[6], {1, 4, 2, 2, 4});
  const auto run = [&](const AttentionShape& shape, const WeightRule& weights) {
    Buffer<float> output(32), row(8);
    AttentionForward<float>(nullptr, in.qkv.data(), shape, {weights}, in.Terms(), output.data(), row.data());
  };
  EXPECT_THROW(run({1, 4, 2, 2, 4}, {Similarity::kSigmoid, Normalizer::kNone}), std::invalid_argument);
  EXPECT_THROW(run({1, 4, 2, 2, 129}, {}), std::invalid_argument);
  EXPECT_THROW(run({1, 4, 3, 2, 4}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace sink::kernels::cuda
