// The column by itself, for CUDA on the emulator: attention that was computed without it, in double and rounded, then
// gets it and its gradients, against the chain rule for attention with it.
#include "kernels/cuda/attention_column.cu"

#include "tests/kernels/cuda/attention_cases.h"

namespace sink::kernels::cuda {
namespace {

// What a library's backward pass makes of the output and log z that it is given, which need not be its own: every
// weight is exp(score - log z), every row's dot that of the given output. In double; dq, dk, dv as merged rows.
Values LibraryBackward(const Values& qkv, const Values& output, const Values& log_z, const Values& gradient,
                       const AttentionShape& s, int64_t window) {
  Values dqkv(qkv.size());
  const double scale = 1 / std::sqrt(static_cast<double>(s.head_dim));
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t i = 0; i < s.length; ++i) {
        const int64_t key_head = s.heads + h / (s.heads / s.key_value_heads);
        const auto place = [&](int64_t t, int64_t head) {
          return static_cast<size_t>((b * s.length + t) * s.width() + head * s.head_dim);
        };
        const auto out = static_cast<size_t>(((b * s.length + i) * s.heads + h) * s.head_dim);
        const auto dim = static_cast<size_t>(s.head_dim);
        const auto dot = [&](const Values& x, size_t at_x, const Values& y, size_t at_y) {
          double sum = 0;
          for (size_t d = 0; d < dim; ++d) sum += x[at_x + d] * y[at_y + d];
          return sum;
        };
        const double of_row = dot(gradient, out, output, out);
        for (int64_t j = window > 0 ? std::max<int64_t>(0, i - window + 1) : 0; j <= i; ++j) {
          const size_t query = place(i, h), key = place(j, key_head), value = place(j, key_head + s.key_value_heads);
          const double weight = std::exp(scale * dot(qkv, query, qkv, key) -
                                         log_z[static_cast<size_t>((b * s.heads + h) * s.length + i)]);
          const double slope = scale * weight * (dot(gradient, out, qkv, value) - of_row);
          for (size_t d = 0; d < dim; ++d) {
            dqkv[value + d] += weight * gradient[out + d];
            dqkv[key + d] += slope * qkv[query + d];
            dqkv[query + d] += slope * qkv[key + d];
          }
        }
      }
  return dqkv;
}

template <typename T>
void Check(const Case& c, const AttentionShape& shape) {
  SCOPED_TRACE(::testing::Message() << c.name << ", length " << shape.length << ", head of " << shape.head_dim);
  const Inputs<T> in(c, shape);
  const ReferenceResult plain = Attention(in.qkv.Values(), shape, c.rule, ReferenceTerms());
  const ReferenceResult forward = Attention(in.qkv.Values(), shape, c.rule, in.Wide());
  Values output, row;
  InEveryOrder([&] {
    Buffer<T> out(plain.output);
    Buffer<float> log_z(plain.row);
    AttentionAddColumn<T>(nullptr, in.qkv.data(), shape, in.Terms(), out.data(), log_z.data());
    output = out.Values();
    row = log_z.Values();
    return Join({output, row});
  });
  EXPECT_LT(RelativeError(output, forward.output), 2 * kTolerance<T>);
  EXPECT_LT(RelativeError(row, forward.row), 2e-6);

  const ReferenceResult expected = Attention(in.qkv.Values(), shape, c.rule, in.Wide(), in.gradient.Values(), output);
  const Values of_library = LibraryBackward(in.qkv.Values(), output, row, in.gradient.Values(), shape, c.rule.window);
  const std::vector<double> result = InEveryOrder([&] {
    const Buffer<T> given(output);
    const Buffer<float> log_z(row);
    Buffer<T> dqkv(of_library);
    Buffer<float> dkey(in.column_key.size()), dvalue(in.column_value.size()), dlogit(in.column_logit.size());
    Buffer<float> workspace(AttentionColumnWorkspace(shape));
    const auto pointer = [](Buffer<float>& x) { return x.size() > 0 ? x.data() : nullptr; };
    AttentionTakeColumn<T>(nullptr, in.gradient.data(), in.qkv.data(), given.data(), log_z.data(), shape, in.Terms(),
                           dqkv.data(), {nullptr, pointer(dkey), pointer(dvalue), pointer(dlogit)}, workspace.data());
    return Join({dqkv.Values(), dkey.Values(), dvalue.Values(), dlogit.Values()});
  });
  auto next = result.begin();
  const auto part = [&](const Values& of) {
    next += static_cast<int64_t>(of.size());
    return Values(next - static_cast<int64_t>(of.size()), next);
  };
  EXPECT_LT(RelativeError(part(expected.dqkv), expected.dqkv), kAttentionTolerance<T>);
  EXPECT_LT(RelativeError(part(expected.dcolumn_key), expected.dcolumn_key), kAttentionTolerance<T>);
  EXPECT_LT(RelativeError(part(expected.dcolumn_value), expected.dcolumn_value), kAttentionTolerance<T>);
  EXPECT_LT(RelativeError(part(expected.dcolumn_logit), expected.dcolumn_logit), kAttentionTolerance<T>);
}

TEST(CudaAttentionColumn, TurnsAttentionWithoutItIntoAttentionWithIt) {
  constexpr WeightRule kSoftmax{Similarity::kSoftmax, Normalizer::kSum};
  for (const Case& c :
       {Case{"sink_logit", {kSoftmax}, false, false, false, true}, Case{"key_bias", {kSoftmax}, false, true},
        Case{"key_value_bias_and_window", {kSoftmax, 0, 20}, false, true, true, true}}) {
    Check<float>(c, {2, 67, 4, 2, 9});
    Check<Bfloat16>(c, {1, 65, 1, 1, 96});
    Check<float>(c, {1, 3, 2, 2, 128});
  }
}

}  // namespace
}  // namespace sink::kernels::cuda
