#include "tests/model/backend/parity/parity.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/backend/reference_attention.h"
#include "model/backend/reference_ops.h"

namespace sink::testing {
namespace {

using kernels::Normalizer;
using kernels::Similarity;

constexpr double kEpsilon = 1e-5;
// Half a unit in the last place, and what sums of floats lose.
constexpr double kFloatTolerance = 4e-6, kBfloat16Tolerance = 4e-3;

at::Tensor Wide(const at::Tensor& x) {
  return x.defined() ? x.detach().to(at::kDouble).requires_grad_() : at::Tensor();
}
AttentionTerms Wide(const AttentionTerms& terms) {
  return {Wide(terms.offset_bias_HS), Wide(terms.column_key_HD), Wide(terms.column_value_HD),
          Wide(terms.column_logit_H)};
}

}  // namespace

std::vector<AttentionKind> AttentionKinds() {
  const AttentionRule softmax{{Similarity::kSoftmax, Normalizer::kSum}};
  const auto with = [&](int64_t prefix, int64_t window) {
    return AttentionRule{{Similarity::kSoftmax, Normalizer::kSum}, prefix, window};
  };
  const auto plain = [](Similarity similarity, Normalizer normalizer) {
    return AttentionRule{{similarity, normalizer}};
  };
  return {{"causal", softmax},
          {"window", with(0, 13)},
          {"prefix", with(21, 0)},
          {"prefix_and_window", with(5, 9)},
          {.name = "fixed_bias", .rule = softmax, .bias = true},
          {.name = "learned_bias", .rule = with(19, 0), .bias = true, .learned_bias = true},
          {.name = "key_bias", .rule = softmax, .column_key = true},
          {.name = "key_value_bias", .rule = softmax, .column_key = true, .column_value = true},
          {.name = "sink_logit", .rule = with(0, 17), .column_logit = true},
          {.name = "everything",
           .rule = with(3, 30),
           .bias = true,
           .learned_bias = true,
           .column_key = true,
           .column_value = true,
           .column_logit = true},
          {"softpick", plain(Similarity::kSoftpick, Normalizer::kSum)},
          {"sigmoid", plain(Similarity::kSigmoid, Normalizer::kSum)},
          {"sigmoid_raw", plain(Similarity::kSigmoid, Normalizer::kNone)},
          {.name = "sigmoid_learned_bias",
           .rule = plain(Similarity::kSigmoid, Normalizer::kNone),
           .bias = true,
           .learned_bias = true},
          {"elu", plain(Similarity::kEluPlusOne, Normalizer::kSum)},
          {"elu_raw", plain(Similarity::kEluPlusOne, Normalizer::kNone)},
          {"identity", plain(Similarity::kIdentity, Normalizer::kSumOrOne)},
          {"identity_raw", plain(Similarity::kIdentity, Normalizer::kNone)}};
}

Parity::Parity(const Kernels& kernels, at::Device device, at::ScalarType type)
    : kernels_(kernels), device_(device), type_(type), generator_(at::make_generator<at::CPUGeneratorImpl>(1)) {}

at::Tensor Parity::Floats(at::IntArrayRef shape) { return at::randn(shape, generator_).to(device_); }
at::Tensor Parity::Random(at::IntArrayRef shape) { return Floats(shape).to(type_); }
at::Tensor Parity::Ids(int64_t count, int64_t limit) {
  return at::randint(limit, {count}, generator_, at::TensorOptions().dtype(at::kLong)).to(device_);
}

void Parity::ExpectClose(const char* what, const at::Tensor& x, const at::Tensor& expected, double slack) const {
  ASSERT_TRUE(x.defined()) << what;
  ASSERT_EQ(x.sizes(), expected.sizes()) << what;
  const double tolerance = (type_ == at::kBFloat16 ? kBfloat16Tolerance : kFloatTolerance) * slack;
  const double difference = (x.to(at::kDouble) - expected).norm().item<double>();
  EXPECT_LE(difference, tolerance * expected.norm().item<double>()) << what;
}

void Parity::AddProduct(int64_t rows, int64_t outputs, int64_t inputs) {
  SCOPED_TRACE(::testing::Message() << "product of " << rows << " x " << outputs << " and " << inputs);
  const at::Tensor a = Random({rows, 2 * outputs}).narrow(1, 1, outputs), b = Random({rows, inputs});
  const at::Tensor sum = Floats({outputs, inputs});
  const at::Tensor expected = sum.to(at::kDouble).addmm(a.t().to(at::kDouble), b.to(at::kDouble));
  kernels_.add_product(a, b, sum);
  EXPECT_LE((sum.to(at::kDouble) - expected).norm().item<double>(), kFloatTolerance * expected.norm().item<double>());
}

void Parity::AddRmsNorm(int64_t rows, int64_t columns) {
  for (const bool read_otherwise : {false, true}) {
    SCOPED_TRACE(::testing::Message() << "RMSNorm of a sum of " << rows << " x " << columns);
    const at::Tensor x = Random({rows, columns}), residual = Random({rows, columns}), weight = Floats({columns});
    const at::Tensor dy = Random({rows, columns}), dsum = read_otherwise ? Random({rows, columns}) : at::Tensor();
    const AddedRmsNorm out = kernels_.add_rms_norm(x, residual, weight, kEpsilon);
    EXPECT_TRUE(out.sum_NC.equal(x + residual));
    const at::Tensor sum_wide = Wide(out.sum_NC), weight_wide = Wide(weight);
    const at::Tensor expected = reference::RmsNorm(sum_wide, weight_wide, kEpsilon);
    expected.backward(dy.to(at::kDouble));
    ExpectClose("output", out.y_NC, expected.detach());
    const at::Tensor weight_gradient = at::full_like(weight, 1.0);  // the kernel adds
    const at::Tensor ds =
        kernels_.add_rms_norm_backward(dy, dsum, out.sum_NC, weight, out.inverse_rms_N, weight_gradient);
    ExpectClose("gradient", ds, dsum.defined() ? sum_wide.grad() + dsum.to(at::kDouble) : sum_wide.grad());
    ExpectClose("gradient of the weight", weight_gradient, weight_wide.grad() + 1);
  }
}

void Parity::RmsNorm(int64_t rows, int64_t columns) {
  SCOPED_TRACE(::testing::Message() << "RMSNorm of " << rows << " x " << columns);
  const at::Tensor x = Random({rows, columns}), weight = Floats({columns}), dy = Random({rows, columns});
  const at::Tensor x_wide = Wide(x), weight_wide = Wide(weight);
  const at::Tensor expected = reference::RmsNorm(x_wide, weight_wide, kEpsilon);
  expected.backward(dy.to(at::kDouble));
  const RmsNormOutput out = kernels_.rms_norm(x, weight, kEpsilon);
  const at::Tensor weight_gradient = at::full_like(weight, 1.0);  // the kernel adds
  const at::Tensor dx = kernels_.rms_norm_backward(dy, x, weight, out.inverse_rms_N, weight_gradient);
  ExpectClose("output", out.y_NC, expected.detach());
  // Of a single column nothing but a difference of nearly equal numbers is left.
  ExpectClose("gradient", dx, x_wide.grad(), columns == 1 ? 2.5 : 1);
  ExpectClose("gradient of the weight", weight_gradient, weight_wide.grad() + 1);
}

void Parity::FeedForward(int64_t rows, int64_t width) {
  for (const auto activation : {kernels::Activation::kSilu, kernels::Activation::kGelu, kernels::Activation::kRelu}) {
    for (const bool gated : {false, true}) {
      SCOPED_TRACE(::testing::Message() << "feed-forward of " << rows << " x " << width << ", activation "
                                        << static_cast<int>(activation) << (gated ? ", gated" : ""));
      const at::Tensor x = Random({rows, gated ? 2 * width : width}), dy = Random({rows, width});
      const at::Tensor wide = Wide(x), expected = reference::FeedForward(wide, activation, gated);
      expected.backward(dy.to(at::kDouble));
      ExpectClose("output", kernels_.feed_forward(x, activation, gated), expected.detach());
      ExpectClose("gradient", kernels_.feed_forward_backward(dy, x, activation, gated), wide.grad());
    }
  }
}

void Parity::Rope(int64_t batch, int64_t length, int64_t heads, int64_t head_dim, int64_t rest) {
  for (const int64_t turned : {head_dim, head_dim / 4 * 2}) {
    SCOPED_TRACE(::testing::Message() << "RoPE of " << heads << " heads, " << turned << " of " << head_dim);
    const at::Tensor x = Random({batch * length, heads * head_dim + rest}), dy = Random(x.sizes());
    const at::Tensor angle = at::rand({length, turned / 2}, generator_).to(device_);
    const at::Tensor table = at::cat({angle.cos(), angle.sin()}, 1), wide = Wide(x);
    const at::Tensor expected = reference::Rope(wide, table.to(at::kDouble), length, heads, head_dim);
    expected.backward(dy.to(at::kDouble));
    const at::Tensor y = at::empty_like(x), dx = at::empty_like(x);
    kernels_.rope(x, table, length, heads, head_dim, /*inverse=*/false, y);
    kernels_.rope(dy, table, length, heads, head_dim, /*inverse=*/true, dx);
    ExpectClose("output", y, expected.detach());
    ExpectClose("gradient", dx, wide.grad());
    kernels_.rope(x, table, length, heads, head_dim, /*inverse=*/false, x);
    EXPECT_TRUE(x.equal(y)) << "in place";
  }
}

void Parity::EmbeddingBackward(int64_t rows, int64_t columns, int64_t vocabulary) {
  SCOPED_TRACE(::testing::Message() << "embedding of " << rows << " x " << columns << " of " << vocabulary);
  const at::Tensor ids = Ids(rows, vocabulary), dy = Random({rows, columns});
  const at::Tensor gradient = at::full({vocabulary, columns}, 1.0, dy.options().dtype(at::kFloat));
  const at::Tensor expected = gradient.to(at::kDouble).index_add(0, ids, dy.to(at::kDouble));
  kernels_.embedding_backward(dy, ids, gradient);
  ExpectClose("gradient", gradient, expected);
}

void Parity::CrossEntropy(int64_t rows, int64_t vocabulary) {
  SCOPED_TRACE(::testing::Message() << "cross-entropy of " << rows << " x " << vocabulary);
  const at::Tensor targets = Ids(rows, vocabulary);
  at::Tensor logits = Random({rows, vocabulary}), wide = logits.to(at::kDouble);
  const at::Tensor losses = reference::CrossEntropy(wide, targets, 1, /*want_gradient=*/false);
  ExpectClose("losses", kernels_.cross_entropy(logits, targets, 1, /*want_gradient=*/false), losses);
  const at::Tensor also = kernels_.cross_entropy(logits, targets, 0.5, /*want_gradient=*/true);
  EXPECT_EQ(also.scalar_type(), at::kFloat);
  ExpectClose("losses beside the gradient", also, losses);
  reference::CrossEntropy(wide, targets, 0.5, /*want_gradient=*/true);
  ExpectClose("gradient", logits, wide);
}

void Parity::Attention(const AttentionKind& kind, const AttentionShape& s) {
  SCOPED_TRACE(::testing::Message() << kind.name << " attention, " << s.batch << " x " << s.length << ", " << s.heads
                                    << " heads of " << s.head_dim << " on " << s.key_value_heads);
  const at::Tensor qkv = Random({s.batch * s.length, s.width()});
  const at::Tensor gradient = Random({s.batch * s.length, s.heads * s.head_dim});
  const auto term = [&](bool wanted, at::IntArrayRef shape) { return wanted ? Floats(shape) : at::Tensor(); };
  const AttentionTerms terms{term(kind.bias, {s.heads, 2 * s.length - 1}), term(kind.column_key, {s.heads, s.head_dim}),
                             term(kind.column_value, {s.heads, s.head_dim}), term(kind.column_logit, {s.heads})};
  if (kind.learned_bias) terms.offset_bias_HS.requires_grad_();
  ASSERT_TRUE(kernels_.takes_attention(s, kind.rule, terms));
  const at::Tensor wide = Wide(qkv);
  const AttentionTerms wide_terms = Wide(terms);
  const AttentionOutput expected = reference::Attention(wide.detach(), s, kind.rule, wide_terms);
  const AttentionOutput out = kernels_.attention(qkv, s, kind.rule, terms);
  const bool has_column = terms.HasColumn();
  const at::Tensor weights = reference::AttentionWeights(Split(wide.detach(), s).query, Split(wide.detach(), s).key,
                                                         kind.rule, wide_terms, 0, s.length)
                                 .to(at::kDouble)
                                 .sum(2);
  const AttentionSums sums = kernels_.attention_sums(qkv, out, s, kind.rule, terms);
  ExpectClose("sums of keys", sums.keys_BHT, weights.narrow(2, has_column ? 1 : 0, s.length).detach(), 2);
  EXPECT_EQ(sums.column_BH.defined(), has_column);
  if (has_column) ExpectClose("sum of the column", sums.column_BH, weights.select(2, 0).detach(), 2);
  // A weight and a result are rounded, and a row's gradients may nearly cancel.
  ExpectClose("output", out.output_NC, expected.output_NC.detach(), 2);
  const AttentionGradients wanted =
      reference::AttentionBackward(gradient.to(at::kDouble), wide, expected, s, kind.rule, wide_terms);
  const AttentionGradients found = kernels_.attention_backward(gradient, qkv, out, s, kind.rule, terms);
  EXPECT_EQ(found.qkv_NW.scalar_type(), type_);
  const QueryKeyValue parts = Split(found.qkv_NW, s), wanted_parts = Split(wanted.qkv_NW, s);
  ExpectClose("gradient of queries", parts.query, wanted_parts.query, 5);
  ExpectClose("gradient of keys", parts.key, wanted_parts.key, 5);
  ExpectClose("gradient of values", parts.value, wanted_parts.value, 5);
  if (kind.learned_bias)
    ExpectClose("gradient of the bias", found.terms.offset_bias_HS, wanted.terms.offset_bias_HS, 5);
  if (kind.column_key) ExpectClose("gradient of k*", found.terms.column_key_HD, wanted.terms.column_key_HD, 5);
  if (kind.column_value) ExpectClose("gradient of v*", found.terms.column_value_HD, wanted.terms.column_value_HD, 5);
  if (kind.column_logit) ExpectClose("gradient of logits", found.terms.column_logit_H, wanted.terms.column_logit_H, 5);
}

void Parity::AdamW(int64_t count) {
  const kernels::AdamWStep step{.learning_rate = 1e-2, .weight_decay = 0.1, .step = 3, .gradient_scale = 0.5};
  for (const double factor : {1.0, 0.25, 0.0}) {
    SCOPED_TRACE(::testing::Message() << "AdamW of " << count << " times " << factor);
    const at::Tensor value = Floats({count});
    const AdamWBuffers buffers{Floats({count}), value, Floats({count}), Floats({count}).square(),
                               factor == 1 ? at::Tensor() : value.to(at::kBFloat16)};
    const at::Tensor scale = factor == 1 ? at::Tensor() : at::full({}, factor, value.options());
    const auto wide = [](const at::Tensor& x) { return x.defined() ? x.to(at::kDouble) : x; };
    const AdamWBuffers expected{wide(buffers.gradient), wide(value), wide(buffers.first_moment),
                                wide(buffers.second_moment), wide(buffers.copy)};
    reference::AdamW(step, expected, wide(scale));
    kernels_.adamw(step, buffers, scale);
    ExpectClose("values", value, expected.value);
    ExpectClose("first moments", buffers.first_moment, expected.first_moment);
    ExpectClose("second moments", buffers.second_moment, expected.second_moment);
    if (!buffers.copy.defined()) continue;
    EXPECT_TRUE(buffers.copy.equal(value.to(at::kBFloat16))) << "copy";
  }
}

void Parity::Clipping(int64_t count) {
  SCOPED_TRACE(::testing::Message() << "clipping of " << count);
  const at::Tensor x = Floats({count});
  const double norm = x.to(at::kDouble).norm().item<double>();
  for (const double max_norm : {0.0, norm / 4, norm * 4}) {
    const sink::Clipping clipping = kernels_.clipping(x, max_norm);
    EXPECT_NEAR(clipping.norm.item<double>(), norm, 1e-12 * norm);
    EXPECT_NEAR(clipping.scale.item<float>(), max_norm == norm / 4 ? max_norm / (norm + 1e-6) : 1.0, 1e-6);
  }
  x[count / 2].fill_(std::numeric_limits<float>::quiet_NaN());
  const sink::Clipping clipping = kernels_.clipping(x, 1);
  EXPECT_TRUE(std::isnan(clipping.norm.item<double>()));
  EXPECT_EQ(clipping.scale.item<float>(), 0.0f);
}

}  // namespace sink::testing
