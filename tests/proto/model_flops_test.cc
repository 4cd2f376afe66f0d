// What a token of training costs, against counts made by hand.
#include "proto/config/model_flops.h"

#include <gtest/gtest.h>

namespace sink {
namespace {

// Hidden 768, 10 layers, feed-forward 1536, vocabulary 50432: 58.98M weights in layers, 38.73M in the head.
TEST(TrainingFlops, OfTheStudysModel) {
  const TokenFlops flops = TrainingFlops(ModelConfig(), 2048);
  EXPECT_DOUBLE_EQ(flops.full, 6.0 * (58'982'400 + 38'731'776) + 12.0 * 10 * 768 * 2048);
  EXPECT_DOUBLE_EQ(flops.full - flops.causal, 6.0 * 10 * 768 * 2048);
}

TEST(TrainingFlops, OfVariants) {
  ModelConfig model;
  const double base = TrainingFlops(model, 0).full;
  model.variant.ffn = Ffn::kRelu;
  EXPECT_DOUBLE_EQ(base - TrainingFlops(model, 0).full, 6.0 * 10 * 768 * 1536);
  model.variant.ffn = Ffn::kNone;
  EXPECT_DOUBLE_EQ(base - TrainingFlops(model, 0).full, 6.0 * 10 * 3 * 768 * 1536);
  model = {};
  model.num_key_value_heads = 2;
  EXPECT_DOUBLE_EQ(base - TrainingFlops(model, 0).full, 6.0 * 10 * 2 * 768 * (768 - 2 * 96));
  model = {};
  model.variant.attention_gate = AttentionGate::kHeadwise;
  EXPECT_DOUBLE_EQ(TrainingFlops(model, 0).full - base, 6.0 * 10 * 768 * 8);
}

}  // namespace
}  // namespace sink
