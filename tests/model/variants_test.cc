// Every variant and option of the transformer: gradients against finite differences in double, the fused path against
// double, saved and loaded bit for bit, and what cannot be combined.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "model/error.h"
#include "model/model_directory.h"
#include "model/transformer.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

struct Variant {
  std::string name;
  VariantConfig config;
};
void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

VariantConfig With(const std::function<void(VariantConfig&)>& change) {
  VariantConfig config;
  change(config);
  return config;
}

// One of each option alone, and combinations that meet in the code.
std::vector<Variant> Variants() {
  std::vector<Variant> all;
  const auto add = [&](std::string name, const std::function<void(VariantConfig&)>& change) {
    all.push_back({std::move(name), With(change)});
  };
  for (const char* kind : {"rope", "nope", "sinusoidal", "learnable", "alibi", "relative", "t5"})
    add(kind, [&](VariantConfig& v) { v.position_embedding = kind; });
  for (const char* kind : {"geglu", "reglu", "gelu", "relu", "swish", "none"})
    add(kind, [&](VariantConfig& v) { v.ffn = kind; });
  for (const char* kind : {"post", "sandwich"})
    add(std::string("norm_") + kind, [&](VariantConfig& v) { v.norm_placement = kind; });
  for (const char* key : {"none", "shared", "per_head"})
    for (const char* value : {"none", "shared", "per_head", "unit", "uniform"}) {
      const bool fixed = std::string(value).starts_with("uni");
      if (key == std::string("none") && (value == std::string("none") || fixed)) continue;
      add(std::string("bias_") + key + "_" + value, [&](VariantConfig& v) {
        v.key_bias = key;
        v.value_bias = value;
        if (fixed) v.value_bias_scale = 5;
      });
    }
  for (const bool normalize : {true, false}) {
    const std::string suffix = normalize ? "_norm" : "_no_norm";
    for (const char* kind : {"sigmoid", "elu_plus_one"})
      add(kind + suffix, [&](VariantConfig& v) { v.similarity = kind, v.normalize = normalize; });
    for (const char* map : {"identity", "elu_plus_one", "mlp"})
      add(std::string("kernel_") + map + suffix,
          [&](VariantConfig& v) { v.similarity = "identity", v.feature_map = map, v.normalize = normalize; });
  }
  add("softpick", [](VariantConfig& v) { v.similarity = "softpick"; });
  add("softmax_off_by_one", [](VariantConfig& v) { v.sink_logit = "zero"; });
  add("sink_logit", [](VariantConfig& v) { v.sink_logit = "learned"; });
  add("sink_token", [](VariantConfig& v) { v.sink_token = true; });
  add("gate_headwise", [](VariantConfig& v) { v.attention_gate = "headwise"; });
  add("gate_elementwise", [](VariantConfig& v) { v.attention_gate = "elementwise"; });
  add("qk_norm", [](VariantConfig& v) { v.qk_norm = true; });
  add("attention_sum", [](VariantConfig& v) { v.attention_sum = 0.2; });
  add("prefix", [](VariantConfig& v) { v.prefix_length = 3; });
  add("window", [](VariantConfig& v) { v.window = 4; });
  add("sink_token_learnable_prefix_window", [](VariantConfig& v) {
    v.sink_token = true, v.position_embedding = "learnable", v.prefix_length = 2, v.window = 4;
  });
  add("sink_token_t5_sigmoid",
      [](VariantConfig& v) { v.sink_token = true, v.position_embedding = "t5", v.similarity = "sigmoid"; });
  add("sandwich_qk_norm_gate_mlp_kernel", [](VariantConfig& v) {
    v.norm_placement = "sandwich", v.qk_norm = true, v.attention_gate = "elementwise";
    v.similarity = "identity", v.feature_map = "mlp", v.ffn = "gelu";
  });
  add("post_alibi_key_bias_prefix", [](VariantConfig& v) {
    v.norm_placement = "post", v.position_embedding = "alibi", v.key_bias = "per_head", v.prefix_length = 3;
  });
  return all;
}

ModelConfig SmallModel(const VariantConfig& variant) {
  return {.hidden_size = 24,
          .intermediate_size = 20,
          .num_hidden_layers = 2,
          .num_attention_heads = 4,
          .num_key_value_heads = 2,
          .vocab_size = 30,
          .max_position_embeddings = 16,
          .variant = variant};
}

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
    constexpr double kStep = 1e-6;
    parameter.value.add_(direction, kStep);
    const double above = model.Loss(tokens, targets).item<double>();
    parameter.value.add_(direction, -2 * kStep);
    const double below = model.Loss(tokens, targets).item<double>();
    parameter.value.add_(direction, kStep);
    const double slope = (parameter.gradient * direction).sum().item<double>();
    EXPECT_NEAR((above - below) / (2 * kStep), slope, 1e-6 * (1 + std::abs(slope))) << parameter.name;
  }
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

TEST_P(VariantTest, DirectoryKeepsEveryBit) {
  const testing::TempDir folder;
  Transformer model(SmallModel(GetParam().config), at::kCPU);
  model.Initialize(3);
  SaveModel(folder.path(), model, false);
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
  try {
    Transformer(SmallModel(With([](VariantConfig& v) { v.position_embedding = "alibi", v.similarity = "identity"; })),
                at::kCPU);
    FAIL();
  } catch (const ModelError& error) {
    EXPECT_NE(std::string(error.what()).find("a linear kernel has no score to add it to"), std::string::npos);
  }
}

}  // namespace
}  // namespace sink
