// Every kernel of the CUDA table against the reference's formula in double, at sizes around the block and tile sizes.
// Skipped where the machine has no device.
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "model/backend/backend.h"
#include "model/backend/device.h"
#include "model/backend/reference_ops.h"
#include "model/base/model_error.h"

namespace sink {
namespace {

constexpr double kEpsilon = 1e-5;

class CudaKernelsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      device_ = OpenDevice("cuda:0");
    } catch (const DeviceError& error) {
      GTEST_SKIP() << error.what();
    }
  }

  at::Tensor Random(at::IntArrayRef shape) const { return at::randn(shape).to(device_); }

  at::Device device_ = at::kCPU;
};

double RelativeError(const at::Tensor& x, const at::Tensor& expected) {
  const at::Tensor wide = x.to(at::kDouble);
  return (wide - expected).norm().item<double>() / expected.norm().item<double>();
}

TEST_F(CudaKernelsTest, RmsNormAgreesWithItsFormulaAndGradient) {
  const Kernels& kernels = KernelsFor(device_, at::kFloat);
  ASSERT_NE(kernels.rms_norm, nullptr);
  for (const int64_t rows : {1, 33, 257}) {
    for (const int64_t columns : {1, 31, 256, 768, 2048}) {
      SCOPED_TRACE(::testing::Message() << rows << " x " << columns);
      const at::Tensor x = Random({rows, columns}), weight = Random({columns}), dy = Random({rows, columns});
      const at::Tensor x_wide = x.to(at::kDouble).requires_grad_(),
                       weight_wide = weight.to(at::kDouble).requires_grad_();
      const at::Tensor y_wide = reference::RmsNorm(x_wide, weight_wide, kEpsilon);
      y_wide.backward(dy.to(at::kDouble));
      const RmsNormOutput out = kernels.rms_norm(x, weight, kEpsilon);
      const at::Tensor weight_gradient = at::full({columns}, 1.0, weight.options());  // the kernel adds
      const at::Tensor dx = kernels.rms_norm_backward(dy, x, weight, out.inverse_rms_N, weight_gradient);
      EXPECT_LT(RelativeError(out.y_NC, y_wide.detach()), 1e-6);
      EXPECT_LT(RelativeError(dx, x_wide.grad()), 1e-5);
      EXPECT_LT(RelativeError(weight_gradient, weight_wide.grad() + 1), 1e-5);
    }
  }
}

}  // namespace
}  // namespace sink
