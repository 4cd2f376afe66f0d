// Attention of every kind: the block path in double against the formulas written out key by key, the strips of the CPU
// against the block path, outputs and every gradient.
#include "model/network/attention.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "tests/testing/finite_difference.h"

namespace sink {
namespace {

using kernels::Normalizer;
using kernels::Similarity;

struct Case {
  std::string name;
  AttentionRule rule;
  bool bias = false, column_key = false, column_value = false, column_logit = false;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::vector<Case> Cases() {
  const auto plain = [](Similarity similarity, Normalizer normalizer = Normalizer::kSum) {
    return AttentionRule{.weights = {similarity, normalizer}};
  };
  std::vector<Case> cases = {
      {"softmax", plain(Similarity::kSoftmax)},
      {.name = "softmax_bias", .rule = plain(Similarity::kSoftmax), .bias = true},
      {.name = "key_bias", .rule = plain(Similarity::kSoftmax), .column_key = true},
      {.name = "key_value_bias", .rule = plain(Similarity::kSoftmax), .column_key = true, .column_value = true},
      {.name = "sink_logit", .rule = plain(Similarity::kSoftmax), .column_logit = true},
      {"everything", plain(Similarity::kSoftmax), true, true, true, true},
      {"sigmoid", plain(Similarity::kSigmoid, Normalizer::kNone)},
      {"sigmoid_sum", plain(Similarity::kSigmoid)},
      {.name = "sigmoid_bias", .rule = plain(Similarity::kSigmoid), .bias = true},
      {"elu", plain(Similarity::kEluPlusOne, Normalizer::kNone)},
      {"elu_sum", plain(Similarity::kEluPlusOne)},
      {"identity", plain(Similarity::kIdentity, Normalizer::kNone)},
      {"identity_sum_or_one", plain(Similarity::kIdentity, Normalizer::kSumOrOne)},
      {"softpick", plain(Similarity::kSoftpick)},
      {.name = "softpick_bias", .rule = plain(Similarity::kSoftpick), .bias = true},
  };
  for (size_t i = 0, count = cases.size(); i < count; ++i) {
    const auto with = [&](const char* suffix, int64_t prefix, int64_t window) {
      Case c = cases[i];
      c.name += suffix;
      c.rule.prefix = prefix;
      c.rule.window = window;
      cases.push_back(c);
    };
    with("_window", 0, 7);
    with("_prefix", 5, 0);
    with("_prefix_window", 5, 7);
  }
  return cases;
}

// The tensors of one call, of a type.
struct Inputs {
  Inputs(const Case& c, const AttentionShape& shape) {
    const auto wide = at::TensorOptions().dtype(at::kDouble);
    qkv = at::randn({shape.batch * shape.length, shape.width()}, wide) * 1.5;
    if (c.bias) terms.offset_bias_HS = at::randn({shape.heads, 2 * shape.length - 1}, wide);
    if (c.column_key) terms.column_key_HD = at::randn({shape.heads, shape.head_dim}, wide);
    if (c.column_value) terms.column_value_HD = at::randn({shape.heads, shape.head_dim}, wide);
    if (c.column_logit) terms.column_logit_H = at::randn({shape.heads}, wide);
  }
  Inputs Leaves(at::ScalarType type) const {
    Inputs copy = *this;
    for (at::Tensor* x : copy.All())
      if (x->defined()) *x = x->detach().to(type, /*non_blocking=*/false, /*copy=*/true).requires_grad_(true);
    return copy;
  }
  std::vector<at::Tensor*> All() {
    return {&qkv, &terms.offset_bias_HS, &terms.column_key_HD, &terms.column_value_HD, &terms.column_logit_H};
  }
  at::Tensor qkv;
  AttentionTerms terms;
};

double Weight(Similarity similarity, double s) {
  if (similarity == Similarity::kSigmoid) return 1 / (1 + std::exp(-s));
  if (similarity == Similarity::kEluPlusOne) return s > 0 ? s + 1 : std::exp(s);
  if (similarity == Similarity::kSoftmax) return std::exp(s);
  if (similarity == Similarity::kSoftpick) return std::max(std::exp(s) - 1, 0.0);
  return s;
}

// The formulas of kernels/attention_weights.h and attention.h, one output value at a time.
at::Tensor WrittenOut(const Inputs& in, const AttentionShape& shape, const AttentionRule& rule) {
  const QueryKeyValue x = Split(in.qkv, shape);
  const int64_t groups = shape.heads / shape.key_value_heads, T = shape.length, D = shape.head_dim;
  const at::Tensor out = at::zeros({shape.batch * T, shape.heads * D}, in.qkv.options());
  const auto q = x.query.accessor<double, 4>(), k = x.key.accessor<double, 4>(), v = x.value.accessor<double, 4>();
  auto o = out.accessor<double, 2>();
  const AttentionTerms& terms = in.terms;
  for (int64_t b = 0; b < shape.batch; ++b)
    for (int64_t h = 0; h < shape.heads; ++h)
      for (int64_t i = 0; i < T; ++i) {
        const auto dot = [&](auto key) {
          double sum = 0;
          for (int64_t d = 0; d < D; ++d) sum += q[b][h][i][d] * key(d);
          return sum / std::sqrt(static_cast<double>(D));
        };
        double z = 0, largest = -1e300;
        std::vector<double> weights(static_cast<size_t>(T));
        for (int64_t j = 0; j < T; ++j) {
          const bool seen = j < rule.prefix || (j <= i && (rule.window == 0 || j > i - rule.window));
          if (!seen) continue;
          double s = dot([&](int64_t d) { return k[b][h / groups][j][d]; });
          if (terms.offset_bias_HS.defined()) s += terms.offset_bias_HS[h][j - i + T - 1].item<double>();
          weights[static_cast<size_t>(j)] = Weight(rule.weights.similarity, s);
          largest = std::max(largest, s);
          z += rule.weights.similarity == Similarity::kSoftpick ? std::abs(std::exp(s) - 1)
                                                                : weights[static_cast<size_t>(j)];
        }
        double column = 0;
        if (terms.HasColumn()) {
          double s = terms.column_logit_H.defined() ? terms.column_logit_H[h].item<double>() : 0;
          if (terms.column_key_HD.defined())
            s += dot([&](int64_t d) { return terms.column_key_HD[h][d].item<double>(); });
          column = std::exp(s);
          z += column;
        }
        if (rule.weights.similarity == Similarity::kSoftpick)
          z += 1e-6 * std::exp(largest);
        else if (rule.weights.similarity != Similarity::kSoftmax)
          z = rule.weights.normalizer == Normalizer::kNone  ? 1
              : rule.weights.normalizer == Normalizer::kSum ? z + 1e-8
                                                            : std::max(std::abs(z), 1.0);
        for (int64_t d = 0; d < D; ++d) {
          double sum = terms.column_value_HD.defined() ? column * terms.column_value_HD[h][d].item<double>() : 0;
          for (int64_t j = 0; j < T; ++j) sum += weights[static_cast<size_t>(j)] * v[b][h / groups][j][d];
          o[b * T + i][h * D + d] = sum / z;
        }
      }
  return out;
}

double Difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b).abs().max().item<double>() / (1 + b.abs().max().item<double>());
}

class AttentionTest : public ::testing::TestWithParam<Case> {
 protected:
  AttentionTest() { at::manual_seed(1); }
};

TEST_P(AttentionTest, BlocksInDoubleFollowTheFormulas) {
  const AttentionShape shape{2, 13, 4, 2, 6};
  const Inputs in(GetParam(), shape);
  EXPECT_LT(Difference(Attention(in.qkv, shape, GetParam().rule, in.terms), WrittenOut(in, shape, GetParam().rule)),
            1e-12);
}

TEST_P(AttentionTest, GradientsOfBlocksAreThoseOfTheOutput) {
  const AttentionShape shape{2, 13, 4, 2, 6};
  Inputs in = Inputs(GetParam(), shape).Leaves(at::kDouble);
  const at::Tensor weights = at::randn({26, 24}, in.qkv.options().requires_grad(false));
  const auto loss = [&] { return (Attention(in.qkv, shape, GetParam().rule, in.terms) * weights).sum(); };
  loss().backward();
  for (at::Tensor* x : in.All()) {
    if (!x->defined()) continue;
    const at::Tensor direction = at::randn(x->sizes(), x->options().requires_grad(false));
    const double slope = (x->grad() * direction).sum().item<double>();
    const double expected = testing::SlopeAlong(x->detach(), direction, 1e-6, [&] { return loss().item<double>(); });
    EXPECT_NEAR(expected, slope, 2e-6 * (1 + std::abs(slope)));
  }
}

// Heads of six values take BLAS's products, the others those of a core's cache; of sixteen the weights of 100 tokens
// are kept for the backward pass, those of 150 are made anew.
class AttentionOfWidthTest : public ::testing::TestWithParam<std::tuple<Case, int64_t>> {
 protected:
  const Case& kind() const { return std::get<0>(GetParam()); }
  int64_t head_dim() const { return std::get<1>(GetParam()); }
};

TEST_P(AttentionOfWidthTest, StripsAgreeWithBlocks) {
  const AttentionShape shape{2, 150, 4, 2, head_dim()};  // several strips, the last one short
  const Inputs in(kind(), shape);
  Inputs fused = in.Leaves(at::kFloat), wide = in.Leaves(at::kDouble);
  const at::Tensor gradient = at::randn({300, 4 * head_dim()}, at::TensorOptions().dtype(at::kDouble));
  const at::Tensor out = Attention(fused.qkv, shape, kind().rule, fused.terms);
  const at::Tensor expected = Attention(wide.qkv, shape, kind().rule, wide.terms);
  out.backward(gradient.to(at::kFloat));
  expected.backward(gradient);
  // Unnormalised weights of either sign cancel: errors are measured against the largest value of a tensor.
  EXPECT_LT(Difference(out, expected), 2e-5);
  const std::vector<at::Tensor*> ours = fused.All(), theirs = wide.All();
  for (size_t i = 0; i < ours.size(); ++i) {
    if (!ours[i]->defined()) continue;
    EXPECT_LT(Difference(ours[i]->grad(), theirs[i]->grad()), 5e-5) << i;
  }
}

TEST_P(AttentionOfWidthTest, ThreadsChangeNoBit) {
  const AttentionShape shape{2, 100, 4, 2, head_dim()};
  const Inputs in(kind(), shape);
  std::optional<Inputs> first;
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    Inputs x = in.Leaves(at::kFloat);
    const at::Tensor out = Attention(x.qkv, shape, kind().rule, x.terms);
    out.backward(at::ones_like(out));
    for (size_t i = 0; first && i < x.All().size(); ++i) {
      if (!x.All()[i]->defined()) continue;
      EXPECT_TRUE(x.All()[i]->grad().equal(first->All()[i]->grad())) << i;
    }
    first = x;
  }
  at::set_num_threads(1);
}

TEST_P(AttentionTest, WeightsTimesValuesAreTheOutput) {
  const AttentionShape shape{2, 13, 4, 2, 6};
  Case c = GetParam();
  c.column_value = false;
  const Inputs in(c, shape);
  const QueryKeyValue x = Split(in.qkv, shape);
  const at::Tensor weights = AttentionWeights(x.query, x.key, c.rule, in.terms, 3, 7).to(at::kDouble);
  ASSERT_EQ(weights.size(3), in.terms.HasColumn() ? 14 : 13);
  const Inputs narrow = in.Leaves(at::kFloat);
  const QueryKeyValue y = Split(narrow.qkv, shape);
  EXPECT_LT(Difference(AttentionWeights(y.query, y.key, c.rule, narrow.terms, 3, 7).to(at::kDouble), weights), 1e-6);
  const at::Tensor keys = weights.narrow(3, weights.size(3) - 13, 13);
  const at::Tensor value = x.value.repeat_interleave(2, 1);
  const at::Tensor expected = Attention(in.qkv, shape, c.rule, in.terms).view({2, 13, 4, 6}).transpose(1, 2);
  EXPECT_LT(Difference(at::matmul(keys, value), expected.narrow(2, 3, 7)), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Kinds, AttentionTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(KindsAndWidths, AttentionOfWidthTest,
                         ::testing::Combine(::testing::ValuesIn(Cases()), ::testing::Values(6, 8, 12, 16)),
                         [](const auto& info) {
                           return std::get<0>(info.param).name + "_" + std::to_string(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace sink
