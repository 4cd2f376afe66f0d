// Column sums of attention for CUDA on the emulator, against double: every kind, both types.
#include "kernels/cuda/attention_sums.cu"

#include "tests/kernels/cuda/attention_cases.h"

namespace sink::kernels::cuda {
namespace {

class CudaAttentionSums : public ::testing::TestWithParam<Case> {};

template <typename T>
void Check(const Case& c, const AttentionShape& shape, bool in_every_order = false) {
  SCOPED_TRACE(::testing::Message() << "length " << shape.length << ", head of " << shape.head_dim << ", " << sizeof(T)
                                    << " bytes");
  const Inputs<T> in(c, shape);
  const ReferenceResult expected = Attention(in.qkv.Values(), shape, c.rule, in.Wide());
  const Buffer<float> row(expected.row);
  const bool column = in.Terms().HasColumn();
  const auto run = [&] {
    Buffer<float> sums(row.size()), column_sums(shape.batch * shape.heads);
    AttentionColumnSums<T>(nullptr, in.qkv.data(), row.data(), shape, c.rule, in.Terms(), sums.data(),
                           column ? column_sums.data() : nullptr);
    return column ? Join({sums.Values(), column_sums.Values()}) : sums.Values();
  };
  const std::vector<double> result = in_every_order ? InEveryOrder(run) : run();
  // Products of bf16 are exact in float, so that both types come as close.
  EXPECT_LT(RelativeError({result.begin(), result.begin() + row.size()}, expected.sums), 5e-6);
  if (column) EXPECT_LT(RelativeError({result.begin() + row.size(), result.end()}, expected.column_sums), 5e-6);
}

TEST_P(CudaAttentionSums, AgreeWithFormula) {
  Check<Bfloat16>(GetParam(), {1, 150, 1, 1, 32}, true);
  Check<float>(GetParam(), {1, 77, 1, 1, 20}, true);
  Check<Bfloat16>(GetParam(), {2, 65, 4, 2, 96});
  Check<float>(GetParam(), {2, 33, 4, 2, 9});
}

INSTANTIATE_TEST_SUITE_P(Kinds, CudaAttentionSums, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sink::kernels::cuda
