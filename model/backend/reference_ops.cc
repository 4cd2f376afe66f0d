#include "model/backend/reference_ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <cmath>

namespace sink::reference {
namespace {

at::Tensor Activate(const at::Tensor& x, kernels::Activation activation) {
  switch (activation) {
    case kernels::Activation::kSilu:
      return at::silu(x);
    case kernels::Activation::kGelu:
      return at::gelu(x, /*approximate=*/"none");
    case kernels::Activation::kRelu:
      return at::relu(x);
  }
  return {};
}

at::Tensor Summed(const at::Tensor& x) { return x.to(SummedType(x)); }

}  // namespace

void Product(const at::Tensor& a_NC, const at::Tensor& b, bool transpose_b, bool add, const at::Tensor& out_NO) {
  const at::Tensor right = transpose_b ? b.t() : b;
  at::Tensor out = out_NO;
  add ? out.addmm_(a_NC, right) : at::mm_out(out, a_NC, right);
}

void AddProduct(const at::Tensor& a_NO, const at::Tensor& b_NC, const at::Tensor& sum_OC) {
  sum_OC.addmm_(a_NO.to(sum_OC.scalar_type()).t(), b_NC.to(sum_OC.scalar_type()));
}

void EmbeddingBackward(const at::Tensor& dy_NC, const at::Tensor& ids_N, const at::Tensor& table_gradient_VC) {
  table_gradient_VC.index_add_(0, ids_N, dy_NC.to(table_gradient_VC.scalar_type()));
}

at::Tensor RmsNorm(const at::Tensor& x_NC, const at::Tensor& weight, double epsilon) {
  const at::Tensor x = Summed(x_NC);
  return (x * at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + epsilon) * weight).to(x_NC.scalar_type());
}

at::Tensor FeedForward(const at::Tensor& given, kernels::Activation activation, bool gated) {
  const at::Tensor x = Summed(given);
  if (!gated) return Activate(x, activation).to(given.scalar_type());
  const int64_t width = x.size(1) / 2;
  return (Activate(x.narrow(1, 0, width), activation) * x.narrow(1, width, width)).to(given.scalar_type());
}

at::Tensor Rope(const at::Tensor& given_NW, const at::Tensor& table_TR, int64_t length, int64_t heads,
                int64_t head_dim) {
  const at::Tensor x_NW = Summed(given_NW);
  const int64_t rows = x_NW.size(0), dims = table_TR.size(1), half = dims / 2, turned = heads * head_dim;
  const at::Tensor x = x_NW.narrow(1, 0, turned).reshape({rows / length, length, heads, head_dim});
  const at::Tensor low = x.narrow(3, 0, half), high = x.narrow(3, half, half),
                   rest = x.narrow(3, dims, head_dim - dims);
  const at::Tensor table = table_TR.narrow(0, 0, length).view({1, length, 1, dims});
  const at::Tensor cosine = table.narrow(3, 0, half), sine = table.narrow(3, half, half);
  const at::Tensor y = at::cat({low * cosine - high * sine, high * cosine + low * sine, rest}, 3);
  return at::cat({y.reshape({rows, turned}), x_NW.narrow(1, turned, x_NW.size(1) - turned)}, 1)
      .to(given_NW.scalar_type());
}

at::Tensor CrossEntropy(at::Tensor& logits, const at::Tensor& targets, double scale, bool want_gradient) {
  const at::Tensor log_probability = at::log_softmax(Summed(logits), 1);
  const at::Tensor target = targets.unsqueeze(1);
  const at::Tensor losses = -log_probability.gather(1, target).squeeze(1);
  if (want_gradient) {
    const at::Tensor gradient = log_probability.exp().mul_(scale);
    gradient.scatter_add_(1, target, at::full(target.sizes(), -scale, gradient.options()));
    logits = gradient.to(logits.scalar_type());
  }
  return losses;
}

void AdamW(const kernels::AdamWStep& step, const AdamWBuffers& b, const at::Tensor& gradient_scale) {
  at::Tensor g = b.gradient * step.gradient_scale;
  const auto power = static_cast<double>(step.step);
  const double correction1 = 1 - std::pow(step.beta1, power), correction2 = 1 - std::pow(step.beta2, power);
  // A factor that is 0 turns every change into none without anybody waiting for it.
  at::Tensor change = at::ones({}, b.value.options());
  if (gradient_scale.defined()) {
    change = gradient_scale.ne(0).to(b.value.scalar_type());
    g = at::where(gradient_scale.eq(0), at::zeros({}, g.options()), g * gradient_scale);
  }
  b.first_moment.add_((g - b.first_moment) * (change * (1 - step.beta1)));
  b.second_moment.add_((g * g - b.second_moment) * (change * (1 - step.beta2)));
  const at::Tensor denominator = (b.second_moment / correction2).sqrt_().add_(step.epsilon);
  b.value.mul_(1 - change * (step.learning_rate * step.weight_decay));
  b.value.sub_(b.first_moment / denominator * (change * (step.learning_rate / correction1)));
  if (b.copy.defined()) b.copy.copy_(b.value);
}

Clipping Clip(const at::Tensor& gradient, double max_norm) {
  const at::Tensor norm = at::linalg_vector_norm(gradient, 2).to(at::kDouble);
  at::Tensor scale = at::ones({}, norm.options());
  if (max_norm > 0) scale = at::where(norm.gt(max_norm), max_norm / (norm + 1e-6), scale);
  return {norm, at::where(norm.isfinite(), scale, at::zeros({}, norm.options())).to(at::kFloat)};
}

at::Tensor BiasActivation(kernels::BiasActivation activation, const at::Tensor& bias, const at::Tensor& input) {
  const at::Tensor x = bias.defined() ? input + bias : input;
  switch (activation) {
    case kernels::BiasActivation::kSilu:
      return x * x.sigmoid();
    case kernels::BiasActivation::kGelu:
      return at::gelu(x, "none");
    case kernels::BiasActivation::kGeluTanh:
      return at::gelu(x, "tanh");
    case kernels::BiasActivation::kRelu:
      return x.clamp_min(0);
  }
  return {};
}

at::Tensor AddToLogSum(const at::Tensor& x_NV, const at::Tensor& log_sum_N) {
  return at::logaddexp(log_sum_N, at::logsumexp(x_NV, {1}));
}

}  // namespace sink::reference
