// Every variant and option of the transformer: gradients against finite differences in double, the fused path against
// double, saved and loaded bit for bit, and what cannot be combined.
#include "tests/model/helpers/variants.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "model/base/model_error.h"
#include "model/network/transformer.h"
#include "model/storage/model_directory.h"
#include "tests/testing/finite_difference.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

at::Tensor Tokens(int64_t batch, int64_t length) {
  return at::randint(30, {batch, length}, at::TensorOptions().dtype(at::kLong));
}

class VariantTest : public ::testing::TestWithParam<Variant> {
 protected:
  VariantTest() { at::manual_seed(11); }
};

TEST_P(VariantTest, GradientsAreThoseOfTheLoss) {
  Transformer model(SmallModel(GetParam().config), at::kCPU, at::kDouble);
  model.Initialize(2);
  model.values().add_(at::randn(model.values().sizes(), model.values().options()), 0.05);  // biases, too, off zero
  const at::Tensor tokens = Tokens(2, 9), targets = Tokens(2, 9);
  model.LossAndGradients(tokens, targets);
  for (const Parameter& parameter : model.parameters()) {
    const at::Tensor direction = at::randn(parameter.value.sizes(), parameter.value.options());
    const double slope = (parameter.gradient * direction).sum().item<double>();
    const double expected = testing::SlopeAlong(parameter.value, direction, 1e-6,
                                                [&] { return model.Loss(tokens, targets).item<double>(); });
    EXPECT_NEAR(expected, slope, 1e-6 * (1 + std::abs(slope))) << parameter.name;
  }
}

TEST_P(VariantTest, InBfloat16ItIsTheSameModelRounded) {
  Transformer rounded(SmallModel(GetParam().config), at::kCPU, at::kBFloat16),
      exact(SmallModel(GetParam().config), at::kCPU);
  rounded.Initialize(1);
  exact.Initialize(1);
  EXPECT_EQ(rounded.values().scalar_type(), at::kFloat);
  const at::Tensor tokens = Tokens(3, 15), targets = Tokens(3, 15);
  const double loss = exact.LossAndGradients(tokens, targets).item<double>();
  const at::Tensor rounded_loss = rounded.LossAndGradients(tokens, targets);
  EXPECT_EQ(rounded_loss.scalar_type(), at::kFloat);
  EXPECT_NEAR(rounded_loss.item<double>(), loss, 0.01 * loss);
  const at::Tensor &g = rounded.gradients(), &expected = exact.gradients();
  // Most are within 0.03; mapped by an MLP, kernels whose sums are near the kink of their normaliser come to 0.08.
  EXPECT_LT((g - expected).norm().item<double>(), 0.1 * expected.norm().item<double>());
  EXPECT_TRUE(rounded.Exact().Loss(tokens, targets).equal(exact.Loss(tokens, targets)));
}

TEST_P(VariantTest, FusedPathAgreesWithDouble) {
  Transformer fused(SmallModel(GetParam().config), at::kCPU),
      wide(SmallModel(GetParam().config), at::kCPU, at::kDouble);
  fused.Initialize(1);
  wide.values().copy_(fused.values());
  const at::Tensor tokens = Tokens(3, 15), targets = Tokens(3, 15);
  EXPECT_LT((fused.Logits(tokens) - wide.Logits(tokens)).abs().max().item<double>(), 2e-5);
  const double loss = fused.LossAndGradients(tokens, targets, 0.5).item<double>();
  EXPECT_NEAR(loss, wide.LossAndGradients(tokens, targets, 0.5).item<double>(), 1e-6);
  const double norm = wide.gradients().norm().item<double>();
  for (size_t i = 0; i < fused.parameters().size(); ++i) {
    const at::Tensor expected = wide.parameters()[i].gradient;
    EXPECT_LT((fused.parameters()[i].gradient - expected).norm().item<double>(),
              2e-5 * expected.norm().item<double>() + 1e-7 * norm)
        << fused.parameters()[i].name;
  }
}

// For an observer the model puts its layers together operation by operation.
TEST_P(VariantTest, WhoeverLooksInsideChangesNothing) {
  Transformer model(SmallModel(GetParam().config), at::kCPU);
  model.Initialize(5);
  const at::Tensor tokens = Tokens(3, 15);
  Observer observer;
  EXPECT_LT((model.Logits(tokens, &observer) - model.Logits(tokens)).abs().max().item<double>(), 1e-5);
}

TEST_P(VariantTest, DirectoryKeepsEveryBit) {
  const testing::TempDir folder;
  Transformer model(SmallModel(GetParam().config), at::kCPU);
  model.Initialize(3);
  SaveModel(folder.path(), model);
  Transformer loaded = LoadModel(folder.path(), at::kCPU);
  EXPECT_EQ(loaded.config().variant, GetParam().config);
  ASSERT_TRUE(loaded.values().equal(model.values()));
  const at::Tensor tokens = Tokens(2, 16);
  EXPECT_TRUE(loaded.Logits(tokens).equal(model.Logits(tokens)));
}

TEST_P(VariantTest, EveryParameterHasAGradient) {
  Transformer model(SmallModel(GetParam().config), at::kCPU);
  model.Initialize(4);
  model.LossAndGradients(Tokens(4, 16), Tokens(4, 16));
  for (const Parameter& parameter : model.parameters())
    EXPECT_GT(parameter.gradient.abs().max().item<double>(), 0) << parameter.name;
}

INSTANTIATE_TEST_SUITE_P(All, VariantTest, ::testing::ValuesIn(Variants()),
                         [](const auto& info) { return info.param.name; });

TEST(Variants, ImpossibleCombinationIsRefusedWithItsReason) {
  VariantConfig variant;
  variant.position_embedding = PositionEmbedding::kAlibi;
  variant.similarity = SimilarityFunction::kIdentity;
  try {
    Transformer(SmallModel(variant), at::kCPU);
    FAIL();
  } catch (const ModelError& error) {
    EXPECT_NE(std::string(error.what()).find("a linear kernel has no score to add it to"), std::string::npos);
  }
}

}  // namespace
}  // namespace sink
