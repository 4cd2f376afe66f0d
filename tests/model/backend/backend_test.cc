// Which kernels a tensor gets, and each entry of the CPU's table against the reference's formula in double: values and
// gradients.
#include "model/backend/backend.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "model/backend/reference_ops.h"
#include "tests/testing/far_device.h"

namespace sink {
namespace {

constexpr int64_t kRows = 300, kWidth = 37;

class CpuKernelsTest : public ::testing::Test {
 protected:
  at::Tensor Random(at::IntArrayRef shape) { return at::randn(shape, generator_); }

  const Kernels& kernels_ = KernelsFor(at::kCPU, at::kFloat);
  at::Generator generator_ = at::make_generator<at::CPUGeneratorImpl>(1);
};

at::Tensor Wide(const at::Tensor& x) { return x.to(at::kDouble).requires_grad_(); }

void ExpectClose(const at::Tensor& x, const at::Tensor& expected, double tolerance) {
  ASSERT_EQ(x.sizes(), expected.sizes());
  EXPECT_LT((x.to(at::kDouble) - expected).norm().item<double>(), tolerance * expected.norm().item<double>());
}

TEST(KernelsFor, FloatsOnACpuHaveEveryKernelThatBeatsAten) {
  const Kernels& k = KernelsFor(at::kCPU, at::kFloat);
  EXPECT_TRUE(k.embedding_backward && k.rms_norm && k.rms_norm_backward && k.feed_forward && k.feed_forward_backward);
  EXPECT_TRUE(k.product && k.add_product && k.add_rms_norm && k.add_rms_norm_backward && k.whole_blocks);
  EXPECT_TRUE(k.rope && k.attention && k.attention_backward && k.attention_weights && k.cross_entropy);
  EXPECT_TRUE(k.adamw && k.clipping && k.bias_activation && k.add_to_log_sum);
}

TEST(KernelsFor, OtherTypesAndDevicesHaveNone) {
  EXPECT_FALSE(KernelsFor(at::kCPU, at::kDouble).rms_norm);
  EXPECT_FALSE(KernelsFor(at::kCPU, at::kBFloat16).rms_norm);
  EXPECT_FALSE(KernelsFor(testing::FarDevice(), at::kFloat).rms_norm);
}

// A machine without a GPU can still say that a GPU's tensors would take the library's kernels, once it is opened.
TEST(KernelsFor, CudaTensorsTakeTheTablesOfTheOpenedLibrary) {
  const at::Device device(at::kCUDA, 0);
  EXPECT_FALSE(KernelsFor(device, at::kFloat).clipping);
  UseCudaKernels([](at::ScalarType dtype) -> const Kernels* {
    static constexpr Kernels kOnlyClipping{.clipping = [](const at::Tensor&, double) { return Clipping(); }};
    return dtype == at::kFloat ? &kOnlyClipping : nullptr;
  });
  EXPECT_TRUE(KernelsFor(device, at::kFloat).clipping);
  EXPECT_FALSE(KernelsFor(device, at::kFloat).rms_norm);
  EXPECT_FALSE(KernelsFor(device, at::kBFloat16).clipping);
  UseCudaKernels(nullptr);
  EXPECT_FALSE(KernelsFor(device, at::kFloat).clipping);
}

// Small enough for a core's cache, no multiple of a vector wide, too long and too large for it.
TEST_F(CpuKernelsTest, ProductsOfEverySizeOnAnyNumberOfThreads) {
  struct Sizes {
    int64_t rows, columns, inner;
  };
  for (const auto [rows, columns, inner] : {Sizes{37, 288, 96}, Sizes{300, 20, 64}, Sizes{17, 30, 20},
                                            Sizes{20, 16, 400}, Sizes{9, 512, 200}, Sizes{1100, 160, 96}})
    for (const bool transpose : {false, true})
      for (const bool add : {false, true}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << columns << " of " << inner << ", " << transpose << add);
        const at::Tensor a = Random({rows, inner}), before = Random({rows, columns});
        const at::Tensor b = transpose ? Random({columns, inner}) : Random({inner, columns});
        const at::Tensor product = a.to(at::kDouble).matmul(transpose ? b.to(at::kDouble).t() : b.to(at::kDouble));
        for (const int threads : {1, 2}) {
          at::set_num_threads(threads);
          const at::Tensor out = before.clone();
          kernels_.product(a, b, transpose, add, out);
          ExpectClose(out, add ? product + before : product, 1e-6);
        }
        at::set_num_threads(1);
        const at::Tensor formula = before.clone();
        reference::Product(a, b, transpose, add, formula);
        ExpectClose(formula, add ? product + before : product, 1e-6);
      }
}

TEST_F(CpuKernelsTest, RmsNorm) {
  const at::Tensor x = Random({kRows, kWidth}), weight = Random({kWidth}), dy = Random({kRows, kWidth});
  const at::Tensor x_wide = Wide(x), weight_wide = Wide(weight);
  const at::Tensor expected = reference::RmsNorm(x_wide, weight_wide, 1e-5);
  expected.backward(dy.to(at::kDouble));
  const RmsNormOutput out = kernels_.rms_norm(x, weight, 1e-5);
  const at::Tensor weight_gradient = at::full({kWidth}, 1.0f);  // the kernel adds
  ExpectClose(out.y_NC, expected.detach(), 1e-6);
  ExpectClose(kernels_.rms_norm_backward(dy, x, weight, out.inverse_rms_N, weight_gradient), x_wide.grad(), 1e-5);
  ExpectClose(weight_gradient, weight_wide.grad() + 1, 1e-5);
}

TEST_F(CpuKernelsTest, AddRmsNorm) {
  const at::Tensor x = Random({kRows, kWidth}), residual = Random({kRows, kWidth}), weight = Random({kWidth});
  const at::Tensor dy = Random({kRows, kWidth}), dsum = Random({kRows, kWidth});
  const AddedRmsNorm out = kernels_.add_rms_norm(x, residual, weight, 1e-5);
  EXPECT_TRUE(out.sum_NC.equal(x + residual));
  const at::Tensor sum_wide = Wide(out.sum_NC), weight_wide = Wide(weight);
  const at::Tensor expected = reference::RmsNorm(sum_wide, weight_wide, 1e-5);
  expected.backward(dy.to(at::kDouble));
  ExpectClose(out.y_NC, expected.detach(), 1e-6);
  for (const at::Tensor& other : {dsum, at::Tensor()}) {
    const at::Tensor weight_gradient = at::full({kWidth}, 1.0f);  // the kernel adds
    ExpectClose(kernels_.add_rms_norm_backward(dy, other, out.sum_NC, weight, out.inverse_rms_N, weight_gradient),
                other.defined() ? sum_wide.grad() + other : sum_wide.grad(), 1e-5);
    ExpectClose(weight_gradient, weight_wide.grad() + 1, 1e-5);
  }
}

// Dense, strided and repeated rows.
TEST_F(CpuKernelsTest, AddProduct) {
  const at::Tensor b = Random({kRows, kWidth});
  for (const at::Tensor& a : {Random({kRows, 11}), Random({kRows, 25}).narrow(1, 3, 11), Random({11, kRows}).t(),
                              Random({1, 11}).expand({kRows, 11})}) {
    const at::Tensor sum = Random({11, kWidth});
    const at::Tensor expected = sum.to(at::kDouble).addmm(a.t().to(at::kDouble), b.to(at::kDouble));
    kernels_.add_product(a, b, sum);
    ExpectClose(sum, expected, 1e-6);
  }
}

TEST_F(CpuKernelsTest, FeedForward) {
  for (const auto activation : {kernels::Activation::kSilu, kernels::Activation::kGelu, kernels::Activation::kRelu}) {
    for (const bool gated : {false, true}) {
      const at::Tensor x = Random({kRows, gated ? 2 * kWidth : kWidth}), dy = Random({kRows, kWidth});
      const at::Tensor wide = Wide(x), expected = reference::FeedForward(wide, activation, gated);
      expected.backward(dy.to(at::kDouble));
      ExpectClose(kernels_.feed_forward(x, activation, gated), expected.detach(), 1e-6);
      ExpectClose(kernels_.feed_forward_backward(dy, x, activation, gated), wide.grad(), 1e-6);
    }
  }
}

// Three heads of eight values, of which the first six turn, and five values that pass.
TEST_F(CpuKernelsTest, RopeOfAPartOfAHead) {
  constexpr int64_t kLength = 20, kHeads = 3, kDim = 8, kTurned = 6;
  const at::Tensor x = Random({3 * kLength, kHeads * kDim + 5}), dy = Random(x.sizes());
  const at::Tensor angle = at::rand({kLength, kTurned / 2}, generator_);
  const at::Tensor table = at::cat({angle.cos(), angle.sin()}, 1), wide = Wide(x);
  const at::Tensor expected = reference::Rope(wide, table.to(at::kDouble), kLength, kHeads, kDim);
  expected.backward(dy.to(at::kDouble));
  const at::Tensor y = at::empty_like(x), dx = at::empty_like(x);
  kernels_.rope(x, table, kLength, kHeads, kDim, /*inverse=*/false, y);
  kernels_.rope(dy, table, kLength, kHeads, kDim, /*inverse=*/true, dx);
  ExpectClose(y, expected.detach(), 1e-6);
  ExpectClose(dx, wide.grad(), 1e-6);
}

TEST_F(CpuKernelsTest, EmbeddingBackward) {
  const at::Tensor ids = at::randint(11, {kRows}, generator_, at::TensorOptions().dtype(at::kLong));
  const at::Tensor dy = Random({kRows, kWidth}), gradient = at::full({11, kWidth}, 1.0f);
  kernels_.embedding_backward(dy, ids, gradient);
  ExpectClose(gradient, at::full({11, kWidth}, 1.0, at::kDouble).index_add(0, ids, dy.to(at::kDouble)), 1e-6);
}

TEST_F(CpuKernelsTest, CrossEntropy) {
  const at::Tensor targets = at::randint(kWidth, {kRows}, generator_, at::TensorOptions().dtype(at::kLong));
  at::Tensor logits = Random({kRows, kWidth}), wide = logits.to(at::kDouble);
  ExpectClose(kernels_.cross_entropy(logits, targets, 1, /*want_gradient=*/false),
              reference::CrossEntropy(wide, targets, 1, /*want_gradient=*/false), 1e-6);
  ExpectClose(kernels_.cross_entropy(logits, targets, 0.5, /*want_gradient=*/true),
              reference::CrossEntropy(wide, targets, 0.5, /*want_gradient=*/true), 1e-6);
  ExpectClose(logits, wide, 1e-6);
}

TEST_F(CpuKernelsTest, BiasActivationAndLogSum) {
  const at::Tensor bias = Random({kWidth});
  using kernels::BiasActivation;
  for (const auto activation :
       {BiasActivation::kSilu, BiasActivation::kGelu, BiasActivation::kGeluTanh, BiasActivation::kRelu}) {
    const at::Tensor x = Random({kRows, kWidth});
    const at::Tensor expected = reference::BiasActivation(activation, bias.to(at::kDouble), x.to(at::kDouble));
    kernels_.bias_activation(activation, bias, x);
    ExpectClose(x, expected, 1e-6);
  }
  const at::Tensor x = Random({kRows, kWidth}), log_sum = Random({kRows});
  const at::Tensor expected = reference::AddToLogSum(x.to(at::kDouble), log_sum.to(at::kDouble));
  kernels_.add_to_log_sum(x, log_sum);
  ExpectClose(log_sum, expected, 1e-6);
}

// The formulas in bfloat16 against themselves in double, from the same rounded values: one rounding of the result.
TEST(ReferenceOps, OfBfloat16AreSummedInFloat) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(2);
  const auto rounded = [&](at::IntArrayRef shape) { return at::randn(shape, generator).to(at::kBFloat16); };
  const at::Tensor x = rounded({kRows, 2 * kWidth}), weight = at::randn({2 * kWidth}, generator);
  const auto expect_rounded_once = [](const at::Tensor& y, const at::Tensor& wide) {
    EXPECT_EQ(y.scalar_type(), at::kBFloat16);
    const at::Tensor error = (y.to(at::kDouble) - wide).abs();
    EXPECT_TRUE(error.le(wide.abs() * 0x1p-8 + 1e-6).all().item<bool>());
  };
  expect_rounded_once(reference::RmsNorm(x, weight, 1e-5),
                      reference::RmsNorm(x.to(at::kDouble), weight.to(at::kDouble), 1e-5));
  expect_rounded_once(reference::FeedForward(x, kernels::Activation::kSilu, true),
                      reference::FeedForward(x.to(at::kDouble), kernels::Activation::kSilu, true));

  const at::Tensor targets = at::randint(kWidth, {kRows}, generator, at::TensorOptions().dtype(at::kLong));
  at::Tensor logits = rounded({kRows, kWidth}), wide = logits.to(at::kDouble);
  const at::Tensor losses = reference::CrossEntropy(logits, targets, 0.5, /*want_gradient=*/true);
  EXPECT_EQ(losses.scalar_type(), at::kFloat);
  ExpectClose(losses, reference::CrossEntropy(wide, targets, 0.5, /*want_gradient=*/true), 1e-6);
  expect_rounded_once(logits, wide);

  const at::Tensor a = rounded({kRows, 5}), b = rounded({kRows, 7}), sum = at::full({5, 7}, 1.0f);
  reference::AddProduct(a, b, sum);
  ExpectClose(sum, a.to(at::kDouble).t().mm(b.to(at::kDouble)) + 1, 1e-6);
  const at::Tensor ids = at::randint(3, {kRows}, generator, at::TensorOptions().dtype(at::kLong));
  const at::Tensor table = at::zeros({3, 7});
  reference::EmbeddingBackward(b, ids, table);
  ExpectClose(table, at::zeros({3, 7}, at::kDouble).index_add(0, ids, b.to(at::kDouble)), 1e-6);
}

}  // namespace
}  // namespace sink
