// The tables of CUDA kernels on tensors of the CPU, the kernels emulated (tests/kernels/cuda/emulator.h): that each
// entry hands its kernel the right tensors, sizes and types, forward and backward, and refuses what the kernel would.
// tests/model/backend/gpu runs the same checks on a GPU.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "model/backend/cuda/entries.h"
#include "model/backend/cuda/library_attention.h"
#include "model/backend/cuda/queue.h"
#include "model/backend/reference_attention.h"
#include "model/base/model_error.h"
#include "model/eval/sink_metric.h"
#include "tests/kernels/cuda/fibers.h"
#include "tests/model/backend/parity/parity.h"

extern "C" const sink::Kernels* SinkCudaKernels(at::ScalarType dtype);

namespace sink {

// Of the two files that need CUDA itself.
size_t shared_memory_limit = kernels::emulator::kSharedBytesOf80;
void* cuda::CurrentStream() { return nullptr; }
size_t cuda::SharedMemoryLimit() { return shared_memory_limit; }
template <typename T>
void cuda::AddProduct(const at::Tensor&, const at::Tensor&, const at::Tensor&) {}
template void cuda::AddProduct<float>(const at::Tensor&, const at::Tensor&, const at::Tensor&);
template void cuda::AddProduct<kernels::cuda::Bfloat16>(const at::Tensor&, const at::Tensor&, const at::Tensor&);

namespace {

// A library of formulas in double, which refuses what it is told to.
struct FakeLibrary {
  bool refuses_forward = false, refuses_backward = false;
  int forward = 0, backward = 0;  // calls that were served
};
FakeLibrary fake;

struct Plain {
  at::Tensor weights, query, key, value;  // [B, H, T, T]; [B, H, T, D], heads repeated
};
Plain PlainOf(const at::Tensor& qkv, const kernels::cuda::AttentionShape& s, int64_t window) {
  const AttentionShape shape{s.batch, s.length, s.heads, s.key_value_heads, s.head_dim};
  const QueryKeyValue x = Split(qkv.to(at::kDouble), shape);
  const int64_t groups = s.heads / s.key_value_heads;
  Plain p{{}, x.query, x.key.repeat_interleave(groups, 1), x.value.repeat_interleave(groups, 1)};
  const at::Tensor scores = p.query.matmul(p.key.transpose(2, 3)) / std::sqrt(static_cast<double>(s.head_dim));
  const AttentionRule rule{.window = window};
  p.weights = scores.masked_fill(AttentionMask(rule, s.length, 0, s.length, at::kCPU).logical_not(), -INFINITY);
  return p;
}
at::Tensor Rows(const at::Tensor& x_BHTD) {
  return x_BHTD.transpose(1, 2).reshape({x_BHTD.size(0) * x_BHTD.size(2), -1});
}

bool FakeForward(const at::Tensor& qkv, const kernels::cuda::AttentionShape& s, int64_t window,
                 const at::Tensor& output, const at::Tensor& log_sum) {
  if (fake.refuses_forward) return false;
  ++fake.forward;
  const Plain p = PlainOf(qkv, s, window);
  log_sum.copy_(p.weights.logsumexp(-1));
  output.copy_(Rows(p.weights.softmax(-1).matmul(p.value)));
  return true;
}
bool FakeBackward(const at::Tensor& gradient, const at::Tensor& qkv, const at::Tensor& output,
                  const at::Tensor& log_sum, const kernels::cuda::AttentionShape& s, int64_t window,
                  const at::Tensor& dqkv) {
  if (fake.refuses_backward) return false;
  ++fake.backward;
  const Plain p = PlainOf(qkv, s, window);
  const auto heads = [&](const at::Tensor& rows) {
    return rows.to(at::kDouble).view({s.batch, s.length, s.heads, s.head_dim}).transpose(1, 2);
  };
  const at::Tensor dout = heads(gradient), weights = (p.weights - log_sum.to(at::kDouble).unsqueeze(-1)).exp();
  const at::Tensor dot = (dout * heads(output)).sum(-1, true);
  const at::Tensor slope =
      weights * (dout.matmul(p.value.transpose(2, 3)) - dot) / std::sqrt(static_cast<double>(s.head_dim));
  const auto grouped = [&](const at::Tensor& x) {
    return x.reshape({s.batch, s.key_value_heads, -1, s.length, s.head_dim}).sum(2);
  };
  dqkv.copy_(at::cat({Rows(slope.matmul(p.key)), Rows(grouped(slope.transpose(2, 3).matmul(p.query))),
                      Rows(grouped(weights.transpose(2, 3).matmul(dout)))},
                     1));
  return true;
}

}  // namespace

const cuda::LibraryAttention* cuda::FindLibraryAttention() {
  static const LibraryAttention library{"a fake", FakeForward, FakeBackward};
  return &library;
}

namespace {

using testing::AttentionKind;
using testing::Parity;

class EmulatedKernels : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  const Kernels& kernels_ = *SinkCudaKernels(GetParam());
  Parity parity_{kernels_, at::kCPU, GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Types, EmulatedKernels, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

TEST_P(EmulatedKernels, RmsNorm) {
  for (const int64_t columns : {1, 31, 64, 256}) parity_.RmsNorm(33, columns);
  parity_.RmsNorm(3, 5000);
}

TEST_P(EmulatedKernels, RmsNormOfASum) {
  for (const int64_t columns : {31, 64}) parity_.AddRmsNorm(9, columns);
  parity_.AddRmsNorm(2, 5000);
}

TEST_P(EmulatedKernels, FeedForward) {
  parity_.FeedForward(7, 37);
  parity_.FeedForward(5, 64);
}

TEST_P(EmulatedKernels, Rope) {
  parity_.Rope(2, 5, 3, 8, 5);
  parity_.Rope(1, 7, 2, 64, 32);
}

TEST_P(EmulatedKernels, EmbeddingBackward) {
  parity_.EmbeddingBackward(300, 37, 11);
  parity_.EmbeddingBackward(65, 64, 1000);
}

TEST_P(EmulatedKernels, CrossEntropy) {
  parity_.CrossEntropy(5, 37);
  parity_.CrossEntropy(3, 1024);
}

TEST_P(EmulatedKernels, AttentionOfEveryKind) {
  for (const AttentionKind& kind : testing::AttentionKinds()) {
    parity_.Attention(kind, {2, 70, 4, 2, 16});
    parity_.Attention(kind, {1, 40, 1, 1, 9});
  }
}

TEST_P(EmulatedKernels, LayersThatNoKernelComputesAreNotTaken) {
  const AttentionRule rule;
  const AttentionTerms terms;
  EXPECT_TRUE(kernels_.takes_attention({2, 70, 4, 2, 128}, rule, terms));
  EXPECT_FALSE(kernels_.takes_attention({2, 70, 4, 2, 136}, rule, terms));
  EXPECT_FALSE(kernels_.takes_attention({1 << 16, 70, 4, 2, 64}, rule, terms));
  EXPECT_FALSE(kernels_.takes_attention({2, 70, 4, 2, 64}, {.soft_cap = 30}, terms));
}

// Compute capability 8.6, 8.9 and 12.0 run the same kernels; a launch that asks for more than a block has there fails.
TEST_P(EmulatedKernels, WhatADeviceOfLessSharedMemoryTakesFitsIt) {
  shared_memory_limit = kernels::emulator::kSharedBytesOf86;
  kernels::emulator::SetSharedLimit(kernels::emulator::kSharedBytesOf86);
  for (const int64_t head_dim : {9, 64, 96, 128}) {
    const AttentionShape shape{1, 40, 2, 1, head_dim};
    const bool fits = GetParam() == at::kBFloat16 || head_dim <= 64;
    EXPECT_EQ(kernels_.takes_attention(shape, {}, {}), fits) << head_dim;
    if (!fits) continue;
    for (const AttentionKind& kind : testing::AttentionKinds()) parity_.Attention(kind, shape);
  }
  shared_memory_limit = kernels::emulator::kSharedBytesOf80;
  kernels::emulator::SetSharedLimit(kernels::emulator::kSharedBytesOf80);
}

TEST_P(EmulatedKernels, LogitsThatExistAtOnceTakeNoMoreThanAGigabyte) {
  const int64_t bytes = kernels_.loss_rows * 50432 * static_cast<int64_t>(c10::elementSize(GetParam()));
  EXPECT_LE(bytes, 1 << 30);
  EXPECT_GT(2 * bytes, 1 << 30);
}

class EmulatedLibrary : public ::testing::Test {
 protected:
  void SetUp() override { Choose("library"); }
  void TearDown() override { unsetenv("SINK_ATTENTION"); }
  static void Choose(const char* what) {
    setenv("SINK_ATTENTION", what, 1);
    fake = {};
  }
  static void CheckEveryKind(at::ScalarType type) {
    Parity parity(*SinkCudaKernels(type), at::kCPU, type);
    for (const AttentionKind& kind : testing::AttentionKinds()) parity.Attention(kind, {2, 40, 4, 2, 16});
  }
};

TEST_F(EmulatedLibrary, AnotherWordIsTheUsersMistake) {
  Choose("libary");
  EXPECT_THROW(CheckEveryKind(at::kBFloat16), ModelError);
}

// Causal, window, key bias, key and value bias, sink logit.
TEST_F(EmulatedLibrary, ServesSoftmaxWithoutPrefixAndBiasWhereItIsAskedFor) {
  CheckEveryKind(at::kBFloat16);
  EXPECT_EQ(fake.forward, 5);
  EXPECT_EQ(fake.backward, 5);
  Choose("tiles");
  CheckEveryKind(at::kBFloat16);
  EXPECT_EQ(fake.forward + fake.backward, 0);
}

TEST_F(EmulatedLibrary, WhereItRefusesOurOwnKernelsGoOn) {
  for (const auto& [forward, backward] : {std::pair(true, false), std::pair(false, true), std::pair(true, true)}) {
    Choose("library");
    fake.refuses_forward = forward;
    fake.refuses_backward = backward;
    CheckEveryKind(at::kBFloat16);
    EXPECT_EQ(fake.forward, forward ? 0 : 5);
    EXPECT_EQ(fake.backward, backward ? 0 : 5);
  }
}

TEST_F(EmulatedLibrary, IsNotAskedForFloatsNorForHeadsThatAreNoEights) {
  CheckEveryKind(at::kFloat);
  Parity parity(*SinkCudaKernels(at::kBFloat16), at::kCPU, at::kBFloat16);
  parity.Attention(testing::AttentionKinds()[0], {1, 20, 1, 1, 12});
  EXPECT_EQ(fake.forward + fake.backward, 0);
}

TEST_F(EmulatedLibrary, AnotherChoiceIsRefused) {
  Choose("flash");
  EXPECT_THROW(CheckEveryKind(at::kBFloat16), ModelError);
}

TEST_P(EmulatedKernels, NothingIsDoneForNoRows) {
  const auto options = at::TensorOptions().dtype(GetParam());
  const at::Tensor none = at::empty({0, 8}, options), weight = at::ones({8}), gradient = at::ones({8});
  const RmsNormOutput out = kernels_.rms_norm(none, weight, 1e-5);
  EXPECT_EQ(kernels_.rms_norm_backward(none, none, weight, out.inverse_rms_N, gradient).size(0), 0);
  EXPECT_TRUE(gradient.equal(weight));
  EXPECT_EQ(kernels_.feed_forward(none, kernels::Activation::kSilu, true).size(0), 0);
}

TEST_P(EmulatedKernels, ATensorOfAnotherLayoutIsRefused) {
  const at::Tensor columns = at::ones({8, 3}, at::TensorOptions().dtype(GetParam())).t();
  EXPECT_THROW(kernels_.rms_norm(columns, at::ones({8}), 1e-5), c10::Error);
  EXPECT_THROW(kernels_.rms_norm(at::ones({3, 8}, at::kDouble), at::ones({8}), 1e-5), c10::Error);
}

TEST(EmulatedTables, TheOptimizerWorksInFloat) {
  Parity parity(*SinkCudaKernels(at::kFloat), at::kCPU, at::kFloat);
  for (const int64_t count : {1, 1000, 4099}) {
    parity.AdamW(count);
    parity.Clipping(count);
  }
}

// Kinds of softmax, and those whose weights are positive and not normalised.
TEST(EmulatedTables, TheSinkMetricIsMadeOfColumnSumsWithoutWeights) {
  const Kernels& kernels = *SinkCudaKernels(at::kFloat);
  const AttentionShape shape{2, 70, 4, 2, 16};
  int with_sums = 0;
  for (const AttentionKind& kind : testing::AttentionKinds()) {
    SCOPED_TRACE(kind.name);
    const auto term = [](bool wanted, at::IntArrayRef sizes) { return wanted ? at::randn(sizes) : at::Tensor(); };
    const at::Tensor qkv = at::randn({shape.batch * shape.length, shape.width()});
    const AttentionTerms terms{
        term(kind.bias, {shape.heads, 2 * shape.length - 1}), term(kind.column_key, {shape.heads, shape.head_dim}),
        term(kind.column_value, {shape.heads, shape.head_dim}), term(kind.column_logit, {shape.heads})};
    const ObservedAttention observed = ObserveAttention(kernels, qkv, shape, kind.rule, terms);
    const at::Tensor expected = reference::Attention(qkv, shape, kind.rule, terms).output_NC;
    EXPECT_TRUE(observed.output_NC.allclose(expected, 1e-4, 1e-5));
    const QueryKeyValue x = Split(qkv, shape);
    const AttentionView sums{x.query, x.key, x.value, {}, {}, kind.rule, terms, observed.key_sums};
    const AttentionView weights{x.query, x.key, x.value, {}, {}, kind.rule, terms};
    EXPECT_TRUE(Importance(sums).allclose(Importance(weights), 1e-5, 1e-6));
    if (observed.key_sums) ++with_sums;
  }
  EXPECT_EQ(with_sums, 13);
}

TEST(EmulatedTables, OtherTypesHaveNone) {
  EXPECT_EQ(SinkCudaKernels(at::kDouble), nullptr);
  EXPECT_EQ(SinkCudaKernels(at::kHalf), nullptr);
}

}  // namespace
}  // namespace sink
