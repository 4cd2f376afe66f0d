#include "model/backend/reference_ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>

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

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return x * at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + epsilon) * weight;
}

at::Tensor FeedForward(const at::Tensor& x, kernels::Activation activation, bool gated) {
  if (!gated) return Activate(x, activation);
  const int64_t width = x.size(1) / 2;
  return Activate(x.narrow(1, 0, width), activation) * x.narrow(1, width, width);
}

at::Tensor Rope(const at::Tensor& x_NW, const at::Tensor& table_TR, int64_t length, int64_t heads, int64_t head_dim) {
  const int64_t rows = x_NW.size(0), dims = table_TR.size(1), half = dims / 2, turned = heads * head_dim;
  const at::Tensor x = x_NW.narrow(1, 0, turned).reshape({rows / length, length, heads, head_dim});
  const at::Tensor low = x.narrow(3, 0, half), high = x.narrow(3, half, half),
                   rest = x.narrow(3, dims, head_dim - dims);
  const at::Tensor table = table_TR.narrow(0, 0, length).view({1, length, 1, dims});
  const at::Tensor cosine = table.narrow(3, 0, half), sine = table.narrow(3, half, half);
  const at::Tensor y = at::cat({low * cosine - high * sine, high * cosine + low * sine, rest}, 3);
  return at::cat({y.reshape({rows, turned}), x_NW.narrow(1, turned, x_NW.size(1) - turned)}, 1);
}

at::Tensor CrossEntropy(at::Tensor& logits, const at::Tensor& targets, double scale, bool want_gradient) {
  const at::Tensor log_probability = at::log_softmax(logits, 1);
  const at::Tensor target = targets.unsqueeze(1);
  const at::Tensor losses = -log_probability.gather(1, target).squeeze(1);
  if (want_gradient) {
    logits = log_probability.exp().mul_(scale);
    logits.scatter_add_(1, target, at::full(target.sizes(), -scale, logits.options()));
  }
  return losses;
}

void AdamW(const kernels::AdamWStep& step, const at::Tensor& gradient, const at::Tensor& value,
           const at::Tensor& first_moment, const at::Tensor& second_moment) {
  const at::Tensor g = gradient * step.gradient_scale;
  const auto power = static_cast<double>(step.step);
  const double correction1 = 1 - std::pow(step.beta1, power), correction2 = 1 - std::pow(step.beta2, power);
  first_moment.mul_(step.beta1).add_(g, 1 - step.beta1);
  second_moment.mul_(step.beta2).addcmul_(g, g, 1 - step.beta2);
  const at::Tensor denominator = (second_moment / correction2).sqrt_().add_(step.epsilon);
  value.mul_(1 - step.learning_rate * step.weight_decay);
  value.addcdiv_(first_moment, denominator, -step.learning_rate / correction1);
}

double Norm(const at::Tensor& x) { return x.norm().to(at::kDouble).item<double>(); }

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
