// Twenty optimizer steps of the seed study's own training code (tests/golden/variants): our losses and gradient norms
// must follow theirs. Proves the loss, accumulation, clipping, AdamW and the schedule together.
#include "tests/model/helpers/golden.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "model/storage/model_directory.h"
#include "model/storage/tensor_file.h"
#include "model/train/learning/learner.h"

namespace sink::train {
namespace {

constexpr double kTolerance = 1e-3;

nlohmann::json ReadJson(const std::filesystem::path& path) {
  std::ifstream in(path);
  return nlohmann::json::parse(in);
}

JobConfig GoldenConfig(const std::filesystem::path& directory) {
  const nlohmann::json training = ReadJson(testing::GoldenVariants() / "training.json");
  JobConfig config;
  config.model = LoadModelConfig(directory);
  TrainConfig& train = config.train;
  train.learning_rate = training.at("learning_rate");
  train.min_learning_rate = training.at("min_learning_rate").get<double>();
  train.warmup_steps = training.at("warmup_steps");
  train.max_steps = training.at("max_steps");
  train.weight_decay = training.at("weight_decay");
  train.beta1 = training.at("beta1");
  train.beta2 = training.at("beta2");
  train.epsilon = training.at("epsilon");
  train.max_gradient_norm = training.at("max_gradient_norm");
  train.micro_batch_size = training.at("micro_batch_size");
  train.global_batch_size = train.micro_batch_size * training.at("gradient_accumulation_steps").get<int64_t>();
  train.sequence_length = training.at("sequence_length");
  return config;
}

class GoldenTraining : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenTraining, FollowsTheStudysLossesAndGradientNorms) {
  const auto directory = testing::GoldenVariants() / GetParam();
  const nlohmann::json expected = ReadJson(directory / "expected.json");
  const SafetensorsFile tokens(testing::GoldenVariants() / "tokens.safetensors");
  const at::Tensor batches = ReadTensor(tokens, "train").to(at::kLong);
  const JobConfig config = GoldenConfig(directory);
  Learner learner(config, at::kCPU);
  LoadParameters(directory, learner.model());
  int64_t batch = 0;
  for (int64_t step = 0; step < config.train.max_steps; ++step) {
    const auto result = learner.Step(step, [&] { return std::optional(batches[batch++]); });
    ASSERT_TRUE(result.has_value());
    EXPECT_NEAR(result->loss, expected.at("training_losses").at(step).get<double>(), kTolerance) << "step " << step;
    EXPECT_NEAR(result->gradient_norm, expected.at("training_gradient_norms").at(step).get<double>(), kTolerance);
  }
  EXPECT_EQ(batch, batches.size(0));
}

INSTANTIATE_TEST_SUITE_P(Variants, GoldenTraining, ::testing::Values("base", "heads1", "heads2"),
                         [](const auto& info) { return std::string(info.param); });

// A step that is given up half-way must leave no trace in the one that follows.
TEST(Learner, AbandonedStepChangesNothing) {
  const auto directory = testing::GoldenVariants() / "base";
  const SafetensorsFile tokens(testing::GoldenVariants() / "tokens.safetensors");
  const at::Tensor batches = ReadTensor(tokens, "train").to(at::kLong);
  const JobConfig config = GoldenConfig(directory);
  const auto first_step = [&](bool abandon) {
    Learner learner(config, at::kCPU);
    LoadParameters(directory, learner.model());
    int calls = 0;
    const auto give_up = [&] { return calls++ == 0 ? std::optional(batches[7]) : std::nullopt; };
    if (abandon) {
      EXPECT_FALSE(learner.Step(0, give_up).has_value());
    }
    int64_t batch = 0;
    const auto result = learner.Step(0, [&] { return std::optional(batches[batch++]); });
    return std::make_pair(result->gradient_norm, learner.model().values().clone());
  };
  const auto [norm, values] = first_step(false);
  const auto [norm_after, values_after] = first_step(true);
  EXPECT_EQ(norm, norm_after);
  EXPECT_TRUE(values.equal(values_after));
}

}  // namespace
}  // namespace sink::train
