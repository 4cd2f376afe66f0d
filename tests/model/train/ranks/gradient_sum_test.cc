// Gradients are final when the backward pass says so, and several ranks get the sum of all of them. Two ranks may live
// in two threads.
#include "model/train/ranks/gradient_sum.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <thread>

#include "model/train/link/train_error.h"
#include "tests/model/helpers/random_tensors.h"
#include "tests/model/train/helpers/tiny_job.h"
#include "tests/testing/unused_port.h"

namespace sink::train {
namespace {

RankWorld OneOfTwo(int rank, int port) {
  return {
      .rank = rank, .size = 2, .host = "127.0.0.1", .port = port, .token = "t", .timeout = std::chrono::seconds(20)};
}

// Runs body(ranks) as both ranks of a pair.
template <typename Body>
void AsTwoRanks(const Body& body) {
  const int port = testing::UnusedPort();
  const auto run = [&](int rank) {
    Ranks ranks(OneOfTwo(rank, port), at::kCPU);
    body(ranks);
    ranks.Leave();
  };
  std::thread other([&] { run(1); });
  run(0);
  other.join();
}

// What the backward pass has called final does not change any more, in the fused operations and in ATen's.
TEST(GradientsReady, WhatIsReadyIsFinal) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    TinyJob job;
    job.config.model.num_hidden_layers = 3;
    for (const NormPlacement norm : {NormPlacement::kPre, NormPlacement::kPost, NormPlacement::kSandwich}) {
      job.config.model.variant.norm_placement = norm;
      job.config.model.variant.key_bias = KeyBias::kPerHead;
      Transformer model(job.config.model, at::kCPU, type);
      model.Initialize(1);
      const at::Tensor tokens = testing::RandomTensors(1).Tokens(job.config.model.vocab_size, {2, 16});
      std::vector<int64_t> begins;
      std::vector<at::Tensor> seen;
      const int64_t total = model.gradients().numel();
      model.LossAndGradients(tokens, tokens, 1.0, 0, [&](int64_t first) {
        begins.push_back(first);
        seen.push_back(model.gradients().narrow(0, first, total - first).clone());
      });
      ASSERT_EQ(begins.size(), 4u) << NameOf(norm);  // behind each layer, and before the first
      EXPECT_TRUE(std::is_sorted(begins.rbegin(), begins.rend()));
      EXPECT_EQ(begins.back(), job.config.model.vocab_size * job.config.model.hidden_size);
      for (size_t i = 0; i < begins.size(); ++i)
        EXPECT_TRUE(seen[i].equal(model.gradients().narrow(0, begins[i], total - begins[i])))
            << NameOf(norm) << " " << i;
    }
  }
}

TEST(GradientSum, PiecesOfAnySizeAddUp) {
  constexpr int64_t kCount = 30'000'000;  // 120 MB: several pieces
  AsTwoRanks([](Ranks& ranks) {
    const at::Tensor gradients = at::arange(kCount, at::kFloat).remainder_(1000).add_(ranks.rank());
    const at::Tensor expected = at::arange(kCount, at::kFloat).remainder_(1000).mul_(2).add_(1);
    GradientSum sum(ranks, gradients);
    for (const int64_t first : {kCount - 10, kCount - 8'000'000, kCount - 8'000'001, int64_t{100}}) sum.Ready(first);
    sum.Finish();
    EXPECT_TRUE(gradients.equal(expected));
  });
}

TEST(Ranks, ShareWhatTheyHave) {
  AsTwoRanks([](Ranks& ranks) {
    EXPECT_EQ(ranks.Sum({1.5, ranks.rank() * 2.0}), (std::vector<double>{3, 2}));
    const at::Tensor bytes = at::full({5}, ranks.rank() + 7, at::kByte);
    ranks.Broadcast(bytes);
    EXPECT_TRUE(bytes.equal(at::full({5}, 7, at::kByte)));
    for (const bool result : {true, false}) EXPECT_EQ(ranks.OnFirst([&] { return result; }, [] {}), result);
  });
}

TEST(Ranks, AloneNothingTravels) {
  Ranks alone;
  EXPECT_TRUE(alone.first());
  EXPECT_EQ(alone.Sum({1, 2}), (std::vector<double>{1, 2}));
  EXPECT_FALSE(alone.OnFirst([] { return false; }, [] { FAIL(); }));
}

// The one that fails by itself is named to the other, which waits for it in a collective.
TEST(Ranks, WhoEndsEarlyIsNamed) {
  const int port = testing::UnusedPort();
  std::thread failing([&] { Ranks ranks(OneOfTwo(1, port), at::kCPU); });
  Ranks ranks(OneOfTwo(0, port), at::kCPU);
  try {
    ranks.Sum({1});
    ADD_FAILURE() << "the sum of a rank that is gone";
  } catch (const InfraError& e) {
    EXPECT_NE(std::string(e.what()).find("rank 1 of 2 failed: it ended with an error"), std::string::npos) << e.what();
  }
  failing.join();
}

// What a part of the optimizer keeps has a counterpart of the same size in the whole, and parts cover it once.
TEST(Optimizer, PartsMakeUpTheWhole) {
  TinyJob job;
  for (const OptimizerKind optimizer : {OptimizerKind::kAdamw, OptimizerKind::kMuon}) {
    job.config.train.optimizer = optimizer;
    Transformer model(job.config.model, at::kCPU);
    const Optimizer whole(job.config.train, model, WholeOf(model));
    for (const int ranks : {2, 3, 7}) {
      int64_t end = 0, elements = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const Part part = PartOf(job.config.train, model, rank, ranks);
        EXPECT_EQ(part.begin, end);
        end = part.end;
        const auto own = Optimizer(job.config.train, model, part).StateOf(part), views = whole.StateOf(part);
        ASSERT_EQ(own.size(), views.size());
        for (size_t i = 0; i < own.size(); ++i) {
          EXPECT_EQ(own[i].sizes(), views[i].sizes());
          elements += own[i].numel();
        }
      }
      EXPECT_EQ(end, model.values().numel());
      int64_t all = 0;
      for (const auto& [key, tensor] : whole.State()) all += tensor.numel();
      EXPECT_EQ(elements, all) << NameOf(optimizer) << " " << ranks;
    }
  }
}

}  // namespace
}  // namespace sink::train
