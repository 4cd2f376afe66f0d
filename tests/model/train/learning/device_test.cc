// A training step on a device whose memory the CPU cannot touch: the losses, norms and parameters of the CPU.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <gtest/gtest.h>

#include "model/train/learning/learner.h"
#include "tests/testing/far_device.h"

namespace sink::train {
namespace {

TEST(OnADeviceApart, TrainingGivesTheSame) {
  at::manual_seed(1);
  for (const OptimizerKind optimizer : {OptimizerKind::kAdamw, OptimizerKind::kMuon}) {
    JobConfig config;
    config.model = {.hidden_size = 16,
                    .intermediate_size = 24,
                    .num_hidden_layers = 2,
                    .num_attention_heads = 2,
                    .num_key_value_heads = 2,
                    .vocab_size = 30,
                    .max_position_embeddings = 16};
    config.train.optimizer = optimizer;
    config.train.micro_batch_size = 2;
    config.train.global_batch_size = 4;
    config.train.sequence_length = 12;
    config.train.warmup_steps = 1;
    Learner near(config, at::kCPU), far(config, testing::FarDevice());
    for (int64_t step = 0; step < 3; ++step) {
      const at::Tensor ids = at::randint(30, {2, 2, 13}, at::TensorOptions().dtype(at::kLong));
      int64_t here = 0, there = 0;
      const auto a = near.Step(step, [&] { return std::optional(ids[here++]); });
      const auto b = far.Step(step, [&] { return std::optional(ids[there++].to(testing::FarDevice())); });
      ASSERT_TRUE(a && b);
      EXPECT_NEAR(a->loss, b->loss, 1e-5) << NameOf(optimizer);
      EXPECT_NEAR(a->gradient_norm, b->gradient_norm, 1e-4) << NameOf(optimizer);
    }
    EXPECT_TRUE(far.model().values().cpu().allclose(near.model().values(), 1e-3, 1e-4)) << NameOf(optimizer);
  }
}

}  // namespace
}  // namespace sink::train
