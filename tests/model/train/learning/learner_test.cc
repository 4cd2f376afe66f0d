// The step: in bfloat16 against float, begun before the last one's result is known, and cut in two where memory is
// short.
#include "model/train/learning/learner.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "model/train/learning/optimizer.h"
#include "model/train/link/train_error.h"

namespace sink::train {
namespace {

constexpr int64_t kVocabulary = 64, kLength = 32;

JobConfig SmallJob() {
  JobConfig config;
  config.model = {.hidden_size = 64,
                  .intermediate_size = 96,
                  .num_hidden_layers = 2,
                  .num_attention_heads = 4,
                  .vocab_size = kVocabulary,
                  .max_position_embeddings = kLength};
  config.train.learning_rate = 3e-3;
  config.train.warmup_steps = 10;
  config.train.global_batch_size = 8;
  config.train.micro_batch_size = 4;
  config.train.sequence_length = kLength;
  config.train.precision = Precision::kFp32;
  return config;
}

// Random walks with small strides: something to learn.
class Batches {
 public:
  at::Tensor Next(int64_t rows) {
    const at::Tensor strides = at::randint(1, 4, {rows, kLength + 1}, generator_, at::TensorOptions().dtype(at::kLong));
    return strides.cumsum(1).remainder(kVocabulary);
  }

 private:
  at::Generator generator_ = at::make_generator<at::CPUGeneratorImpl>(5);
};

std::vector<double> LossCurve(const JobConfig& config, int64_t steps) {
  Learner learner(config, at::kCPU);
  Batches batches;
  std::vector<double> losses;
  for (int64_t step = 0; step < steps; ++step)
    losses.push_back(learner.Step(step, [&] { return std::optional(batches.Next(4)); })->loss);
  return losses;
}

class Bf16Step : public ::testing::TestWithParam<OptimizerKind> {};

TEST_P(Bf16Step, LossFollowsThatOfFloatFor200Steps) {
  JobConfig config = SmallJob();
  config.train.optimizer = GetParam();
  const std::vector<double> floats = LossCurve(config, 200);
  config.train.precision = Precision::kBf16;
  const std::vector<double> rounded = LossCurve(config, 200);
  EXPECT_LT(floats.back(), 0.5 * floats.front()) << "there is nothing to follow";
  EXPECT_NE(rounded, floats) << "it computes in float";
  for (size_t i = 0; i < floats.size(); ++i) EXPECT_NEAR(rounded[i], floats[i], 0.01 * floats[i]) << "step " << i + 1;
}

INSTANTIATE_TEST_SUITE_P(Optimizers, Bf16Step, ::testing::Values(OptimizerKind::kAdamw, OptimizerKind::kMuon),
                         [](const auto& info) { return std::string(NameOf(info.param)); });

TEST(Learner, PrecisionAutoIsFloatOnACpu) {
  EXPECT_EQ(ComputeType(Precision::kAuto, at::kCPU), at::kFloat);
  EXPECT_EQ(ComputeType(Precision::kBf16, at::kCPU), at::kBFloat16);
  EXPECT_EQ(ComputeType(Precision::kAuto, at::Device(at::kCUDA, 0)), at::kBFloat16);
  EXPECT_EQ(ComputeType(Precision::kFp32, at::Device(at::kCUDA, 0)), at::kFloat);
}

TEST(Learner, StepsBegunAheadAreTheSameSteps) {
  const JobConfig config = SmallJob();
  Learner ahead(config, at::kCPU), one_by_one(config, at::kCPU);
  Batches first, second;
  std::optional<BegunStep> last;
  std::vector<double> losses, expected;
  for (int64_t step = 0; step < 5; ++step) {
    std::optional<BegunStep> begun = ahead.Begin(
        step, [&] { return std::optional(first.Next(4)); }, HUGE_VAL);
    if (last) losses.push_back(ahead.Finish(*last).loss);
    last.emplace(*std::move(begun));
    expected.push_back(one_by_one.Step(step, [&] { return std::optional(second.Next(4)); })->loss);
  }
  losses.push_back(ahead.Finish(*last).loss);
  EXPECT_EQ(losses, expected);
  EXPECT_TRUE(ahead.model().values().equal(one_by_one.model().values()));
}

using State = std::map<std::string, at::Tensor>;

// What the optimizer keeps beside the model: moments and momentum.
State CopyOfState(Learner& learner) {
  State state = learner.WholeOptimizer()->State();
  for (auto& [name, tensor] : state) tensor = tensor.clone();
  return state;
}

bool AreEqual(const State& a, const State& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && x.second.equal(y.second); });
}

// The host learns of it only when another step has been begun.
class DivergedStep : public ::testing::TestWithParam<OptimizerKind> {};

TEST_P(DivergedStep, AndTheOneBegunBehindItChangeNothing) {
  JobConfig config = SmallJob();
  config.train.optimizer = GetParam();
  Learner learner(config, at::kCPU);
  Batches batches;
  const auto next = [&] { return std::optional(batches.Next(4)); };
  learner.Step(0, next);
  const at::Tensor before = learner.model().values().clone();
  const State state_before = CopyOfState(learner);
  ASSERT_FALSE(state_before.empty());
  const std::optional<BegunStep> diverged = learner.Begin(1, next, /*loss_limit=*/0.1);
  const std::optional<BegunStep> behind = learner.Begin(2, next, HUGE_VAL);
  EXPECT_TRUE(learner.Finish(*diverged).diverged);
  EXPECT_TRUE(learner.model().values().equal(before));
  EXPECT_TRUE(AreEqual(CopyOfState(learner), state_before));
  EXPECT_FALSE(learner.Step(1, next)->diverged);
  EXPECT_FALSE(learner.model().values().equal(before));
  EXPECT_FALSE(AreEqual(CopyOfState(learner), state_before));
}

INSTANTIATE_TEST_SUITE_P(Optimizers, DivergedStep, ::testing::Values(OptimizerKind::kAdamw, OptimizerKind::kMuon),
                         [](const auto& info) { return std::string(NameOf(info.param)); });

// A device that has memory for `limit` sequences at once.
class ShortOfMemory {
 public:
  explicit ShortOfMemory(int64_t limit) : limit_(limit) {}

  at::Tensor operator()(const at::Tensor& batch_BT1, double scale, const GradientsReady&) {
    passes.push_back(batch_BT1.size(0));
    TORCH_CHECK_WITH(OutOfMemoryError, batch_BT1.size(0) <= limit_, "CUDA out of memory");
    seen_tokens += batch_BT1.sum().item<int64_t>();
    return batch_BT1.sum().to(at::kFloat) * 0 + 3;
  }

  std::vector<int64_t> passes;  // sequences of each
  int64_t seen_tokens = 0;

 private:
  const int64_t limit_;
};

TEST(Learner, OutOfMemoryHalvesThePassesOnceAndGoesOnWithTheSameBatch) {
  const JobConfig config = SmallJob();
  ShortOfMemory device(2);
  Learner learner(config, at::kCPU, nullptr, std::ref(device));
  int64_t batches_given = 0, tokens_given = 0;
  Batches batches;
  const auto next = [&] {
    const at::Tensor batch = batches.Next(4);
    ++batches_given;
    tokens_given += batch.sum().item<int64_t>();
    return std::optional(batch);
  };
  EXPECT_DOUBLE_EQ(learner.Step(0, next)->loss, 3);
  EXPECT_EQ(device.passes, (std::vector<int64_t>{4, 2, 2, 2, 2}));
  EXPECT_EQ(batches_given, 2);
  EXPECT_EQ(device.seen_tokens, tokens_given);
  const std::vector<std::string> warnings = learner.TakeWarnings();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].rfind("out of memory with micro-batches of 4 sequences", 0), 0u) << warnings[0];
  learner.Step(1, next);
  EXPECT_EQ(device.passes.size(), 9u);
  EXPECT_TRUE(learner.TakeWarnings().empty());
}

// Each recording is of one size of pass, and parts of two sizes would take turns in ending each other's.
TEST(Learner, OutOfMemoryCutsAnOddMicroBatchInEqualParts) {
  JobConfig config = SmallJob();
  config.train.micro_batch_size = 9;
  config.train.global_batch_size = 18;
  ShortOfMemory device(5);
  Learner learner(config, at::kCPU, nullptr, std::ref(device));
  Batches batches;
  EXPECT_DOUBLE_EQ(learner.Step(0, [&] { return std::optional(batches.Next(9)); })->loss, 3);
  EXPECT_EQ(device.passes, (std::vector<int64_t>{9, 3, 3, 3, 3, 3, 3}));
  EXPECT_NE(learner.TakeWarnings().at(0).find("in 3 parts"), std::string::npos);
}

TEST(Learner, GoesOnWithTheDivisionThatARunHad) {
  const JobConfig config = SmallJob();
  ShortOfMemory device(2), roomy(100);
  Batches batches;
  const auto next = [&] { return std::optional(batches.Next(4)); };
  Learner first(config, at::kCPU, nullptr, std::ref(device)), second(config, at::kCPU, nullptr, std::ref(roomy));
  EXPECT_EQ(first.division(), Division());
  first.Step(0, next);
  EXPECT_EQ(first.division(), (Division{.sequences = 0, .parts = 2}));
  second.GoOnWith(first.division());
  second.Step(0, next);
  EXPECT_EQ(roomy.passes, (std::vector<int64_t>{2, 2, 2, 2}));
  second.Reset();
  EXPECT_EQ(second.division(), Division()) << "a new run";
}

TEST(Learner, GoesOnWithTheMicroBatchesThatWereChosenUnlessTheyDoNotFit) {
  JobConfig config = SmallJob();
  config.train.micro_batch_size = 0;
  Learner learner(config, at::kCPU);
  EXPECT_EQ(learner.division(), (Division{.sequences = 8, .parts = 1}));
  learner.GoOnWith({.sequences = 4, .parts = 2});
  EXPECT_EQ(learner.micro_batch_size(), 4);
  EXPECT_EQ(learner.division(), (Division{.sequences = 4, .parts = 2}));
  EXPECT_TRUE(learner.TakeWarnings().empty());
  for (const int64_t impossible : {3, 16}) {
    learner.GoOnWith({.sequences = impossible, .parts = 1});
    EXPECT_EQ(learner.micro_batch_size(), 8);
    EXPECT_EQ(learner.TakeWarnings().size(), 1u) << impossible;
  }
}

TEST(Learner, OutOfMemoryOfHalvesEndsTheStep) {
  const JobConfig config = SmallJob();
  ShortOfMemory device(1);
  Learner learner(config, at::kCPU, nullptr, std::ref(device));
  Batches batches;
  EXPECT_THROW(learner.Step(0, [&] { return std::optional(batches.Next(4)); }), c10::OutOfMemoryError);
}

TEST(Learner, HalvesGiveTheGradientsOfTheWhole) {
  const JobConfig config = SmallJob();
  Learner whole(config, at::kCPU);
  bool short_of_memory = true;
  Transformer* model = nullptr;
  const auto pass = [&](const at::Tensor& batch, double scale, const GradientsReady& ready) {
    const at::Tensor loss =
        model->LossAndGradients(batch.narrow(1, 0, kLength), batch.narrow(1, 1, kLength), scale, 0, ready);
    TORCH_CHECK_WITH(OutOfMemoryError, !std::exchange(short_of_memory, false), "CUDA out of memory");
    return loss;
  };
  Learner halves(config, at::kCPU, nullptr, pass);
  model = &halves.model();
  Batches first, second;
  const double expected = whole.Step(0, [&] { return std::optional(first.Next(4)); })->loss;
  EXPECT_NEAR(halves.Step(0, [&] { return std::optional(second.Next(4)); })->loss, expected, 1e-6);
  EXPECT_LT((whole.model().gradients() - halves.model().gradients()).norm().item<double>(),
            1e-5 * whole.model().gradients().norm().item<double>());
}

TEST(Learner, AutomaticMicroBatchOfACpuIsADivisorUpToEight) {
  JobConfig config = SmallJob();
  config.train.micro_batch_size = 0;
  config.train.global_batch_size = 20;
  EXPECT_EQ(Learner(config, at::kCPU).micro_batch_size(), 5);
}

}  // namespace
}  // namespace sink::train
