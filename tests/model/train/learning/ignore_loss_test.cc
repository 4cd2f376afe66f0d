// The loss that leaves out the first targets of every sequence: its value, its gradient, and that a training step asks
// for it.
#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/base/model_error.h"
#include "model/train/learning/learner.h"
#include "tests/model/helpers/random_tensors.h"
#include "tests/model/train/helpers/tiny_job.h"
#include "tests/testing/finite_difference.h"

namespace sink::train {
namespace {

constexpr int64_t kRows = 3, kLength = 12, kIgnore = 5;

ModelConfig SmallModel() {
  return {.hidden_size = 24,
          .intermediate_size = 40,
          .num_hidden_layers = 2,
          .num_attention_heads = 4,
          .vocab_size = 50,
          .max_position_embeddings = 32};
}

class IgnoreLoss : public ::testing::Test {
 protected:
  at::Tensor RandomTokens(int64_t rows, int64_t length) { return random_.Tokens(50, {rows, length}); }

  testing::RandomTensors random_{1};
};

// The mean over the targets that count, one by one.
double LossByHand(Transformer& model, const at::Tensor& tokens, const at::Tensor& targets, int64_t ignore) {
  const at::Tensor log_probability = at::log_softmax(model.Logits(tokens).to(at::kDouble), 2);
  double sum = 0;
  for (int64_t row = 0; row < tokens.size(0); ++row)
    for (int64_t t = ignore; t < tokens.size(1); ++t)
      sum -= log_probability[row][t][targets[row][t].item<int64_t>()].item<double>();
  return sum / static_cast<double>(tokens.size(0) * (tokens.size(1) - ignore));
}

TEST_F(IgnoreLoss, IsTheMeanOverTheTargetsThatCount) {
  Transformer model(SmallModel(), at::kCPU);
  model.Initialize(1);
  const at::Tensor tokens = RandomTokens(kRows, kLength), targets = RandomTokens(kRows, kLength);
  for (const int64_t ignore : {int64_t{0}, int64_t{1}, kIgnore, kLength - 1}) {
    const double expected = LossByHand(model, tokens, targets, ignore);
    EXPECT_NEAR(model.Loss(tokens, targets, ignore).item<double>(), expected, 1e-5) << ignore;
    EXPECT_NEAR(model.LossAndGradients(tokens, targets, 1.0, ignore).item<double>(), expected, 1e-5) << ignore;
  }
}

TEST_F(IgnoreLoss, IgnoredTargetsChangeNothing) {
  Transformer model(SmallModel(), at::kCPU);
  model.Initialize(2);
  const at::Tensor tokens = RandomTokens(kRows, kLength), targets = RandomTokens(kRows, kLength);
  const at::Tensor loss = model.LossAndGradients(tokens, targets, 1.0, kIgnore);
  const at::Tensor gradients = model.gradients().clone();
  targets.narrow(1, 0, kIgnore).copy_(RandomTokens(kRows, kIgnore));
  model.ZeroGradients();
  EXPECT_TRUE(model.LossAndGradients(tokens, targets, 1.0, kIgnore).equal(loss));
  EXPECT_TRUE(model.gradients().equal(gradients));
  EXPECT_FALSE(model.Loss(tokens, targets).equal(loss));
}

TEST_F(IgnoreLoss, GradientIsThatOfTheLoss) {
  Transformer model(SmallModel(), at::kCPU, at::kDouble);
  model.Initialize(3);
  const at::Tensor tokens = RandomTokens(kRows, kLength), targets = RandomTokens(kRows, kLength);
  model.LossAndGradients(tokens, targets, 1.0, kIgnore);
  for (const Parameter& parameter : model.parameters()) {
    const at::Tensor direction = random_.Normal(parameter.value.sizes(), at::kDouble);
    const double slope = (parameter.gradient * direction).sum().item<double>();
    const double expected = testing::SlopeAlong(parameter.value, direction, 1e-5,
                                                [&] { return model.Loss(tokens, targets, kIgnore).item<double>(); });
    EXPECT_NEAR(expected, slope, 1e-6 * (1 + std::abs(slope))) << parameter.name;
  }
}

TEST_F(IgnoreLoss, MustLeaveATarget) {
  Transformer model(SmallModel(), at::kCPU);
  model.Initialize(4);
  const at::Tensor tokens = RandomTokens(1, kLength);
  EXPECT_THROW(model.Loss(tokens, tokens, kLength), ModelError);
  EXPECT_THROW(model.LossAndGradients(tokens, tokens, 1.0, -1), ModelError);
}

TEST_F(IgnoreLoss, TrainingAndValidationUseIt) {
  TinyJob job;
  job.config.train.max_steps = 1;
  job.config.train.ignore_loss = kIgnore;
  Learner learner(job.config, at::kCPU);
  Transformer model(job.config.model, at::kCPU);
  model.Initialize(static_cast<uint64_t>(job.config.train.seed));
  double expected = 0;
  const auto next_batch = [&] {
    const at::Tensor batch = random_.Tokens(48, {2, 65});
    expected += LossByHand(model, batch.narrow(1, 0, 64), batch.narrow(1, 1, 64), kIgnore) / 2;
    return std::optional(batch);
  };
  const double loss = learner.Step(0, next_batch)->loss;
  EXPECT_NEAR(loss, expected, 1e-5);

  const auto validation_loss = [&](int64_t ignore, const char* run) {
    job.config.train.ignore_loss = ignore;
    std::vector<pipe::Event> events;
    job.Train(job.MakeRun(run), events);
    for (const auto& [name, value] : Points(events))
      if (name == "0 validation_loss/all") return value;
    return 0.0;
  };
  EXPECT_NE(validation_loss(0, "whole"), validation_loss(kIgnore, "ignoring"));
}

}  // namespace
}  // namespace sink::train
