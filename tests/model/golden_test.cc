// The transformer against the study's own model code: logits, loss, gradients and a 20-step training run.
#include "tests/model/golden.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>

#include "model/model_directory.h"
#include "model/ops.h"
#include "model/tensor_file.h"

namespace sink {
namespace {

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  Golden()
      : directory_(testing::GoldenVariants() / GetParam()),
        expected_(directory_ / "expected.safetensors"),
        tokens_(testing::GoldenVariants() / "tokens.safetensors"),
        model_(LoadModel(directory_, at::kCPU)) {
    std::ifstream(directory_ / "expected.json") >> json_;
    std::ifstream(testing::GoldenVariants() / "training.json") >> training_;
    const at::Tensor probe = ReadTensor(tokens_, "probe").to(at::kLong);
    inputs_ = probe.narrow(1, 0, 64).contiguous();
    targets_ = probe.narrow(1, 1, 64).contiguous();
  }

  std::filesystem::path directory_;
  SafetensorsFile expected_, tokens_;
  Transformer model_;
  nlohmann::json json_, training_;
  at::Tensor inputs_, targets_;
};

double LargestDifference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST_P(Golden, LogitsAgree) {
  EXPECT_LT(LargestDifference(model_.Logits(inputs_), ReadTensor(expected_, "logits")), 1e-4);
}

TEST_P(Golden, LossAndEveryGradientAgree) {
  const at::Tensor loss = model_.LossAndGradients(inputs_, targets_);
  EXPECT_NEAR(loss.item<double>(), json_["loss"].get<double>(), 1e-5);
  EXPECT_FLOAT_EQ(model_.Loss(inputs_, targets_).item<float>(), loss.item<float>());
  for (const Parameter& parameter : model_.parameters()) {
    const at::Tensor expected = ReadTensor(expected_, "grad." + parameter.name);
    EXPECT_LT((parameter.gradient - expected).norm().item<double>(), 1e-4 * expected.norm().item<double>())
        << parameter.name;
  }
  const double norm = json_["gradient_norm"];
  EXPECT_NEAR(Norm(model_.gradients()), norm, 1e-4 * norm);
}

TEST_P(Golden, TwentyStepsOfTrainingAgree) {
  const at::Tensor train = ReadTensor(tokens_, "train").to(at::kLong);  // [40, 4, 65]
  const at::Tensor first = at::zeros_like(model_.values()), second = at::zeros_like(model_.values());
  const double high = training_["learning_rate"], low = training_["min_learning_rate"];
  const int64_t steps = training_["max_steps"], accumulate = training_["gradient_accumulation_steps"];
  const int64_t warmup = training_["warmup_steps"].get<int64_t>() * accumulate, last = steps * accumulate;
  for (int64_t step = 0; step < steps; ++step) {
    model_.ZeroGradients();
    double loss = 0;
    for (int64_t micro = 0; micro < accumulate; ++micro) {
      const at::Tensor batch = train[step * accumulate + micro];
      loss += model_.LossAndGradients(batch.narrow(1, 0, 64), batch.narrow(1, 1, 64), 1.0 / accumulate).item<double>() /
              accumulate;
    }
    const double norm = Norm(model_.gradients());
    EXPECT_NEAR(loss, json_["training_losses"][step].get<double>(), 1e-3) << "step " << step;
    EXPECT_NEAR(norm, json_["training_gradient_norms"][step].get<double>(), 2e-3) << "step " << step;
    // The schedule counts micro-iterations; a step uses the rate of its last one.
    const double it = static_cast<double>(step * accumulate + accumulate - 1);
    const double rate =
        it < warmup ? high * it / warmup
                    : low + (high - low) * 0.5 * (1 + std::cos(std::numbers::pi * (it - warmup) / (last - warmup)));
    AdamWUpdate({.learning_rate = rate,
                 .beta1 = training_["beta1"],
                 .beta2 = training_["beta2"],
                 .epsilon = training_["epsilon"],
                 .weight_decay = training_["weight_decay"],
                 .step = step + 1,
                 .gradient_scale = std::min(1.0, 1.0 / (norm + 1e-6))},
                model_.gradients(), model_.values(), first, second);
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, Golden, ::testing::ValuesIn(testing::GoldenNames()),
                         [](const auto& info) { return info.param; });

TEST(GoldenVectors, AreAllThere) { EXPECT_EQ(testing::GoldenNames().size(), 34u); }

}  // namespace
}  // namespace sink
