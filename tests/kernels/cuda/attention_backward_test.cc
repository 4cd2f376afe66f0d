// Attention for CUDA on the emulator: gradients of the merged rows, the bias and the column against the chain rule in
// double, which is itself held to finite differences; every kind, both types, widths of heads and lengths around those
// of the tiles.
#include "kernels/cuda/attention_backward.cu"

#include "kernels/cuda/attention_backward_keys.cu"
#include "kernels/cuda/attention_backward_queries.cu"
#include "tests/kernels/cuda/attention_cases.h"

namespace sink::kernels::cuda {
namespace {

class CudaAttentionBackward : public ::testing::TestWithParam<Case> {};

// The reference in double: its gradients are those of its outputs.
TEST_P(CudaAttentionBackward, ReferenceIsTheGradientOfItsFormula) {
  const AttentionShape shape{1, 9, 2, 1, 3};
  AttentionRule rule = GetParam().rule;
  rule.window = std::min<int64_t>(rule.window, 4);
  rule.prefix = std::min<int64_t>(rule.prefix, 3);
  const Inputs<float> in(GetParam(), shape);
  const ReferenceTerms terms = in.Wide();
  const ReferenceResult expected = Attention(in.qkv.Values(), shape, rule, terms, in.gradient.Values());
  const auto loss = [&](const Values& qkv, const ReferenceTerms& t) {
    return Dot(Attention(qkv, shape, rule, t).output, in.gradient.Values());
  };
  const auto near = [](const Values& actual, const Values& numeric) {
    for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], numeric[i], 1e-5) << i;
  };
  near(expected.dqkv, FiniteDifferences(in.qkv.Values(), [&](const Values& x) { return loss(x, terms); }));
  const auto of_term = [&](Values ReferenceTerms::*term) {
    return FiniteDifferences(terms.*term, [&](const Values& x) {
      ReferenceTerms changed = terms;
      changed.*term = x;
      return loss(in.qkv.Values(), changed);
    });
  };
  near(expected.dbias, of_term(&ReferenceTerms::bias));
  near(expected.dcolumn_key, of_term(&ReferenceTerms::column_key));
  near(expected.dcolumn_value, of_term(&ReferenceTerms::column_value));
  near(expected.dcolumn_logit, of_term(&ReferenceTerms::column_logit));
}

template <typename T>
Values Backward(const Inputs<T>& in, const Case& c, const Buffer<T>& output, const Buffer<float>& row) {
  const AttentionTerms terms = in.Terms();
  Buffer<T> dqkv(in.qkv.size());
  Buffer<float> dbias(in.bias.size()), dkey(in.column_key.size()), dvalue(in.column_value.size()),
      dlogit(in.column_logit.size());
  Buffer<float> workspace(AttentionWorkspace(in.shape, terms, c.bias));
  const auto pointer = [](Buffer<float>& x) { return x.size() > 0 ? x.data() : nullptr; };
  AttentionBackward<T>(nullptr, in.gradient.data(), in.qkv.data(), output.data(), row.data(), in.shape, c.rule, terms,
                       dqkv.data(), {pointer(dbias), pointer(dkey), pointer(dvalue), pointer(dlogit)},
                       workspace.data());
  return Join({dqkv.Values(), dbias.Values(), dkey.Values(), dvalue.Values(), dlogit.Values()});
}

template <typename T>
void Check(const Case& c, const AttentionShape& shape, bool in_every_order = false) {
  SCOPED_TRACE(::testing::Message() << c.name << ", length " << shape.length << ", head of " << shape.head_dim << ", "
                                    << sizeof(T) << " bytes");
  const Inputs<T> in(c, shape);
  const Buffer<T> output(Attention(in.qkv.Values(), shape, c.rule, in.Wide()).output);
  const ReferenceResult expected =
      Attention(in.qkv.Values(), shape, c.rule, in.Wide(), in.gradient.Values(), output.Values());
  const Buffer<float> row(expected.row);
  const auto run = [&] { return Backward(in, c, output, row); };
  const std::vector<double> result = in_every_order ? InEveryOrder(run) : run();
  auto next = result.begin();
  const auto part = [&](const Values& of) {
    next += static_cast<int64_t>(of.size());
    return Values(next - static_cast<int64_t>(of.size()), next);
  };
  // Queries, keys and values by themselves, because errors of one may hide behind the size of another.
  const Values dqkv = part(expected.dqkv);
  for (int64_t third = 0; third < 3; ++third) {
    Values actual, wanted;
    for (size_t i = 0; i < dqkv.size(); ++i) {
      const int64_t head = static_cast<int64_t>(i) % shape.width() / shape.head_dim;
      const int64_t kind = head < shape.heads ? 0 : head < shape.heads + shape.key_value_heads ? 1 : 2;
      actual.push_back(kind == third ? dqkv[i] : 0);
      wanted.push_back(kind == third ? expected.dqkv[i] : 0);
    }
    if (Dot(wanted, wanted) > 1e-20)
      EXPECT_LT(RelativeError(actual, wanted), kAttentionTolerance<T>) << "part " << third;
    else
      EXPECT_LT(Dot(actual, actual), 1e-4) << "part " << third;
  }
  EXPECT_LT(RelativeError(part(expected.dbias), expected.dbias), kAttentionTolerance<T>);
  EXPECT_LT(RelativeError(part(expected.dcolumn_key), expected.dcolumn_key), kAttentionTolerance<T>);
  EXPECT_LT(RelativeError(part(expected.dcolumn_value), expected.dcolumn_value), kAttentionTolerance<T>);
  EXPECT_LT(RelativeError(part(expected.dcolumn_logit), expected.dcolumn_logit), kAttentionTolerance<T>);
}

TEST_P(CudaAttentionBackward, AgreesWithChainRuleWhateverTheOrderOfThreads) {
  Check<Bfloat16>(GetParam(), {1, 150, 1, 1, 32}, true);
  Check<float>(GetParam(), {1, 77, 1, 1, 20}, true);
}

TEST_P(CudaAttentionBackward, AgreesWithChainRuleInGroupsAndBatches) {
  Check<Bfloat16>(GetParam(), {2, 131, 4, 2, 16});
  Check<float>(GetParam(), {2, 67, 4, 2, 9});
}

// Kinds whose weights are not exponentials, over several tiles of the widest heads that the study has.
TEST(CudaAttentionBackwardShapes, OtherKindsThanSoftmaxOverSeveralTilesOfTheStudysHeads) {
  for (const Case& c : Cases()) {
    if (c.rule.weights.similarity == Similarity::kSoftmax) continue;
    Check<Bfloat16>(c, {1, 150, 1, 1, 96});
    Check<float>(c, {1, 77, 1, 1, 96});
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, CudaAttentionBackward, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

template <typename T>
std::vector<emulator::Place> HiddenIn(const AttentionShape& shape) {
  const Case causal = Cases()[0];
  const Inputs<T> in(causal, shape);
  const ReferenceResult forward = Attention(in.qkv.Values(), shape, causal.rule, in.Wide());
  const Buffer<T> output(forward.output);
  const Buffer<float> row(forward.row);
  return HiddenFaults([&] { return Backward(in, causal, output, row); }, kAttentionTolerance<T>);
}

// A barrier, wait or index that is wrong in these very kernels turns a comparison red. What waits again behind the
// loops (two waits, a barrier) is for rows that see nothing, of which there are none here.
TEST(CudaAttentionBackwardFaults, Show) {
  for (const auto& [type, hidden] : {std::pair("bf16", HiddenIn<Bfloat16>({1, 200, 1, 1, 32})),
                                     std::pair("float", HiddenIn<float>({1, 125, 1, 1, 20}))}) {
    EXPECT_EQ(hidden.size(), 3u) << type << "\n" << Describe(hidden);
  }
}

TEST(CudaAttentionBackwardShapes, EveryWidthOfHeadAndLengthsAroundTheTiles) {
  const Case causal = Cases()[0], all = Cases()[8];
  for (const int64_t dim : {7, 8, 32, 64, 96, 100, 128}) {
    Check<Bfloat16>(all, {1, 65, 1, 1, dim});
    Check<float>(all, {1, 33, 1, 1, dim});
  }
  for (const int64_t length : {2, 63, 64, 127, 128, 129, 193}) {
    Check<Bfloat16>(causal, {1, length, 1, 1, 8});
    Check<float>(causal, {1, length, 1, 1, 8});
    Check<Bfloat16>(Cases()[5], {2, length, 1, 1, 8});
  }
}

}  // namespace
}  // namespace sink::kernels::cuda
