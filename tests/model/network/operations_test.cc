// The fused operations against the same formulas in ATen in double, through the whole transformer: outputs, gradients,
// grouped key/value heads, threads. The double path itself is checked by finite differences.
#include "model/network/operations.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "model/base/model_error.h"
#include "model/network/transformer.h"
#include "tests/model/helpers/random_tensors.h"
#include "tests/testing/finite_difference.h"

namespace sink {
namespace {

ModelConfig SmallModel() {
  return {.hidden_size = 24,
          .intermediate_size = 40,
          .num_hidden_layers = 2,
          .num_attention_heads = 4,
          .num_key_value_heads = 2,
          .vocab_size = 50,
          .max_position_embeddings = 32};
}

class OperationsTest : public ::testing::Test {
 protected:
  at::Tensor Tokens(int64_t batch, int64_t length) { return random_.Tokens(50, {batch, length}); }

  testing::RandomTensors random_{1};
};
using FusedOperationsTest = OperationsTest;
using TransformerTest = OperationsTest;
using RopeTest = OperationsTest;
using HeadLossTest = OperationsTest;
using AdamWUpdateTest = OperationsTest;
using ClipTest = OperationsTest;

// A float model on the fused path and the same parameters in double on ATen's.
struct Pair {
  explicit Pair(const ModelConfig& config) : fused(config, at::kCPU), wide(config, at::kCPU, at::kDouble) {
    fused.Initialize(1);
    wide.values().copy_(fused.values());
  }
  Transformer fused, wide;
};

void ExpectAgreement(Pair models, const at::Tensor& tokens, const at::Tensor& targets) {
  EXPECT_LT((models.fused.Logits(tokens) - models.wide.Logits(tokens)).abs().max().item<double>(), 1e-5);
  const double loss = models.fused.LossAndGradients(tokens, targets, 0.5).item<double>();
  EXPECT_NEAR(loss, models.wide.LossAndGradients(tokens, targets, 0.5).item<double>(), 1e-6);
  for (size_t i = 0; i < models.fused.parameters().size(); ++i) {
    const at::Tensor expected = models.wide.parameters()[i].gradient;
    EXPECT_LT((models.fused.parameters()[i].gradient - expected).norm().item<double>(),
              1e-5 * expected.norm().item<double>())
        << models.fused.parameters()[i].name;
  }
}

TEST_F(FusedOperationsTest, AgreeWithAtenInDouble) {
  ExpectAgreement(Pair(SmallModel()), Tokens(3, 17), Tokens(3, 17));
}

TEST_F(FusedOperationsTest, OfNarrowHeadsAgreeWithAtenInDouble) {
  ModelConfig config = SmallModel();
  config.max_position_embeddings = 70;
  for (const int64_t hidden : {16, 32, 48}) {  // heads of 4, 8 and 12 values, which a kernel of their own attends with
    SCOPED_TRACE(hidden);
    config.hidden_size = hidden;
    ExpectAgreement(Pair(config), Tokens(3, 17), Tokens(3, 17));
    ExpectAgreement(Pair(config), Tokens(2, 70), Tokens(2, 70));  // its weights are kept of heads of 12 alone
  }
}

TEST_F(TransformerTest, GradientsAreThoseOfTheLoss) {
  Transformer model(SmallModel(), at::kCPU, at::kDouble);
  model.Initialize(2);
  const at::Tensor tokens = Tokens(2, 9), targets = Tokens(2, 9);
  model.LossAndGradients(tokens, targets);
  for (const Parameter& parameter : model.parameters()) {
    const at::Tensor direction = random_.Normal(parameter.value.sizes(), at::kDouble);
    const double slope = (parameter.gradient * direction).sum().item<double>();
    const double expected = testing::SlopeAlong(parameter.value, direction, 1e-5,
                                                [&] { return model.Loss(tokens, targets).item<double>(); });
    EXPECT_NEAR(expected, slope, 1e-6 * (1 + std::abs(slope))) << parameter.name;
  }
}

TEST_F(TransformerTest, GroupedHeadsEqualRepeatedOnes) {
  ModelConfig grouped = SmallModel(), full = SmallModel();
  full.num_key_value_heads = 4;
  Transformer small(grouped, at::kCPU), large(full, at::kCPU);
  small.Initialize(3);
  for (size_t i = 0; i < small.parameters().size(); ++i) {
    const at::Tensor& value = small.parameters()[i].value;
    const at::Tensor& out = large.parameters()[i].value;
    if (value.sizes() == out.sizes())
      out.copy_(value);
    else  // k_proj, v_proj: every head of 6 rows twice
      out.copy_(value.view({2, 1, 6, 24}).expand({2, 2, 6, 24}).reshape({24, 24}));
  }
  const at::Tensor tokens = Tokens(2, 11);
  EXPECT_LT((small.Logits(tokens) - large.Logits(tokens)).abs().max().item<double>(), 1e-5);
}

TEST_F(TransformerTest, GradientsAccumulateAndRepeatBitForBit) {
  Transformer model(SmallModel(), at::kCPU);
  model.Initialize(4);
  const at::Tensor tokens = Tokens(4, 32), targets = Tokens(4, 32);
  const at::Tensor loss = model.LossAndGradients(tokens, targets);
  const at::Tensor first = model.gradients().clone();
  model.ZeroGradients();
  EXPECT_TRUE(model.LossAndGradients(tokens, targets).equal(loss));
  EXPECT_TRUE(model.gradients().equal(first));
  model.LossAndGradients(tokens, targets);
  EXPECT_LT((model.gradients() - 2 * first).norm().item<double>(), 1e-6 * first.norm().item<double>());
}

TEST_F(TransformerTest, InitializeFollowsTheSeedAndTheDeviations) {
  ModelConfig config = SmallModel();
  config.hidden_size = 128;
  config.vocab_size = 2000;
  Transformer a(config, at::kCPU), b(config, at::kCPU);
  a.Initialize(7);
  at::set_num_threads(2);
  b.Initialize(7);
  at::set_num_threads(1);
  EXPECT_TRUE(a.values().equal(b.values()));
  b.Initialize(8);
  EXPECT_FALSE(a.values().equal(b.values()));
  const at::Tensor& embedding = a.parameters().front().value;
  EXPECT_NEAR(embedding.std().item<double>(), std::sqrt(0.4 / 128), 2e-4);
  EXPECT_NEAR(embedding.mean().item<double>(), 0, 5e-4);
  for (const Parameter& parameter : a.parameters()) {
    if (parameter.name.ends_with("norm.weight")) {
      EXPECT_TRUE(parameter.value.eq(1).all().item<bool>());
    } else if (parameter.name.ends_with("layers.1.mlp.down_proj.weight")) {
      EXPECT_NEAR(parameter.value.std().item<double>(), 1 / std::sqrt(40.0) / 2, 3e-3);
    }
  }
}

TEST_F(TransformerTest, RefusesImpossibleInput) {
  Transformer model(SmallModel(), at::kCPU);
  model.Initialize(1);
  EXPECT_THROW(model.Logits(Tokens(1, 33)), ModelError);
  EXPECT_THROW(model.Logits(Tokens(1, 8) + 50), ModelError);
  EXPECT_THROW(model.Loss(Tokens(1, 8), Tokens(1, 8) - 50), ModelError);
  EXPECT_THROW(model.Loss(Tokens(2, 8), Tokens(1, 8)), ModelError);
  ModelConfig config = SmallModel();
  config.num_attention_heads = 5;
  EXPECT_THROW(Transformer(config, at::kCPU), ModelError);
}

TEST_F(RopeTest, TurnsAGradientBackInPlaceUnlessSomebodyElseHasIt) {
  const at::Tensor table = RopeTable(5, 8, 1e4, at::TensorOptions().dtype(at::kFloat));
  const at::Tensor leaf = random_.Normal({5, 24}), factor = random_.Normal({5, 24});
  at::Tensor expected;
  for (const bool held : {true, false}) {
    const at::Tensor weight = leaf.detach().clone().requires_grad_(), x = weight * 1;
    at::Tensor kept, before;
    const void *of_y = nullptr, *of_x = nullptr;
    x.register_hook([&](const at::Tensor& gradient) { of_x = gradient.const_data_ptr(); });
    const at::Tensor y = Rope(x, table, 5, 2);
    y.register_hook([&](const at::Tensor& gradient) {
      of_y = gradient.const_data_ptr();
      before = gradient.clone();
      if (held) kept = gradient;
    });
    (y * factor).backward(at::ones_like(factor));
    EXPECT_EQ(of_x == of_y, !held);
    if (held) {
      EXPECT_TRUE(kept.equal(before));
      expected = weight.grad();
    }
    EXPECT_TRUE(weight.grad().equal(expected));
  }
}

TEST_F(HeadLossTest, BlocksOfRowsChangeNothing) {
  // 600 rows of 8 columns are three blocks; one by one they are 600.
  const at::Tensor hidden = random_.Normal({600, 8}), targets = random_.Tokens(50, {600});
  const Weight head{random_.Normal({50, 8}), at::zeros({50, 8})};
  at::Tensor gradient;
  const double loss = HeadLoss(hidden, head, targets, 1.0, &gradient).item<double>();
  const at::Tensor head_gradient = head.gradient.clone();
  head.gradient.zero_();
  double sum = 0;
  for (int64_t row = 0; row < 600; ++row) {
    at::Tensor one;
    sum += HeadLoss(hidden.narrow(0, row, 1), head, targets.narrow(0, row, 1), 1.0 / 600, &one).item<double>();
    ASSERT_LT((one[0] - gradient[row]).abs().max().item<double>(), 1e-7);
  }
  EXPECT_NEAR(loss, sum / 600, 1e-5);
  EXPECT_LT((head.gradient - head_gradient).norm().item<double>(), 1e-5 * head_gradient.norm().item<double>());
}

TEST_F(AdamWUpdateTest, FusedAndAtenAgree) {
  const at::Tensor value = random_.Normal({1000}), wide = value.to(at::kDouble);
  const at::Tensor m = at::zeros({1000}), v = at::zeros({1000}), m_wide = m.to(at::kDouble), v_wide = v.to(at::kDouble);
  for (int64_t step = 1; step <= 3; ++step) {
    const at::Tensor gradient = random_.Normal({1000});
    const kernels::AdamWStep options{.learning_rate = 0.1, .weight_decay = 0.1, .step = step, .gradient_scale = 0.3};
    AdamWUpdate(options, {gradient, value, m, v});
    AdamWUpdate(options, {gradient.to(at::kDouble), wide, m_wide, v_wide});
  }
  EXPECT_LT((value - wide).abs().max().item<double>(), 1e-5);
}

// By kernel and by formula: the factor counts, the bf16 copy follows, and a factor of 0 leaves no trace of a gradient
// that is not a number.
TEST_F(AdamWUpdateTest, FactorOnTheDeviceScalesOrStopsTheStep) {
  const kernels::AdamWStep step{.learning_rate = 0.1, .weight_decay = 0.1, .step = 2};
  for (const auto type : {at::kFloat, at::kDouble}) {
    const at::Tensor gradient = random_.Normal({1000}, type), value = random_.Normal({1000}, type);
    const AdamWBuffers plain{gradient * 0.25, value.clone(), value.clone(), value.square()};
    const AdamWBuffers scaled{gradient, value.clone(), value.clone(), value.square(), value.to(at::kBFloat16)};
    AdamWUpdate(step, plain);
    AdamWUpdate(step, scaled, at::full({}, 0.25f));
    EXPECT_LT((plain.value - scaled.value).abs().max().item<double>(), 1e-6);
    EXPECT_TRUE(scaled.copy.equal(scaled.value.to(at::kBFloat16)));

    scaled.gradient.fill_(std::numeric_limits<double>::quiet_NaN());
    const at::Tensor before = scaled.value.clone(), moment = scaled.second_moment.clone();
    AdamWUpdate(step, scaled, at::zeros({}));
    EXPECT_TRUE(scaled.value.equal(before));
    EXPECT_TRUE(scaled.second_moment.equal(moment));
  }
}

TEST_F(ClipTest, FactorBringsTheNormDownAndIsZeroWithoutOne) {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const at::Tensor x = random_.Normal({1000}, type);
    const double norm = x.to(at::kDouble).norm().item<double>();
    EXPECT_NEAR(Clip(x, 0).norm.item<double>(), norm, 1e-6 * norm);
    EXPECT_EQ(Clip(x, 0).scale.item<double>(), 1);
    EXPECT_EQ(Clip(x, 2 * norm).scale.item<double>(), 1);
    EXPECT_NEAR(Clip(x, 0.5).scale.item<double>(), 0.5 / norm, 1e-6 * 0.5 / norm);
    x[7] = std::numeric_limits<double>::infinity();
    EXPECT_EQ(Clip(x, 0.5).scale.item<double>(), 0);
    EXPECT_FALSE(std::isfinite(Clip(x, 0.5).norm.item<double>()));
  }
}

}  // namespace
}  // namespace sink
