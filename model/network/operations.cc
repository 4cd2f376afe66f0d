// The differentiable operations: autograd Functions over the kernels of the tensors' device, or the reference's
// formulas.
#include "model/network/operations.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "model/backend/backend.h"
#include "model/backend/reference_ops.h"

namespace sink {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// The buffer that a backward pass adds to. Not a saved variable: autograd would refuse it after another operation has
// added to its part of the same buffer.
void KeepGradient(AutogradContext* ctx, const Weight& weight) { ctx->saved_data["gradient"] = weight.gradient; }
at::Tensor GradientOf(AutogradContext* ctx) { return ctx->saved_data["gradient"].toTensor(); }

void AddProduct(const at::Tensor& a_NO, const at::Tensor& b_NC, const at::Tensor& sum_OC) {
  const auto kernel = KernelsFor(a_NO).add_product;
  (kernel ? kernel : reference::AddProduct)(a_NO, b_NC, sum_OC);
}

struct ValueFunction : Function<ValueFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& compute, const Weight& weight) {
    KeepGradient(ctx, weight);
    return compute.detach();
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    GradientOf(ctx).add_(gradients[0]);
    return {at::Tensor(), at::Tensor()};
  }
};

struct EmbeddingFunction : Function<EmbeddingFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& table, const at::Tensor& ids,
                            const Weight& weight) {
    ctx->save_for_backward({ids});
    KeepGradient(ctx, weight);
    return at::embedding(table, ids);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const at::Tensor dy = gradients[0].contiguous();
    const auto kernel = KernelsFor(dy).embedding_backward;
    (kernel ? kernel : reference::EmbeddingBackward)(dy, ctx->get_saved_variables()[0], GradientOf(ctx));
    return {at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

// The weight's gradient goes straight into the buffer (beta = 1 of the matrix product) instead of through a temporary.
struct LinearFunction : Function<LinearFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& compute,
                            const Weight& weight) {
    ctx->save_for_backward({x, compute});
    KeepGradient(ctx, weight);
    return at::mm(x, compute.t());
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &dy = gradients[0], sum = GradientOf(ctx);
    if (sum.defined()) AddProduct(dy, x, sum);
    return {dy.mm(weight), at::Tensor(), at::Tensor()};
  }
};

struct RmsNormFunction : Function<RmsNormFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& compute, const Weight& weight,
                            double epsilon) {
    const RmsNormOutput out = KernelsFor(x).rms_norm(x, compute, epsilon);
    ctx->save_for_backward({x, compute, out.inverse_rms_N});
    KeepGradient(ctx, weight);
    return out.y_NC;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], dy = gradients[0].contiguous();
    return {KernelsFor(x).rms_norm_backward(dy, x, saved[1], saved[2], GradientOf(ctx)), at::Tensor(), at::Tensor(),
            at::Tensor()};
  }
};

struct AddRmsNormFunction : Function<AddRmsNormFunction> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& residual,
                               const at::Tensor& compute, const Weight& weight, double epsilon) {
    const AddedRmsNorm out = KernelsFor(x).add_rms_norm(x, residual, compute, epsilon);
    ctx->save_for_backward({out.sum_NC, compute, out.inverse_rms_N});
    ctx->set_materialize_grads(false);  // nothing may read the sum
    KeepGradient(ctx, weight);
    return {out.sum_NC, out.y_NC};
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &sum = saved[0], dsum = gradients[0].defined() ? gradients[0].contiguous() : at::Tensor();
    const at::Tensor dx = KernelsFor(sum).add_rms_norm_backward(gradients[1].contiguous(), dsum, sum, saved[1],
                                                                saved[2], GradientOf(ctx));
    return {dx, dx, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

struct FeedForwardFunction : Function<FeedForwardFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, kernels::Activation activation, bool gated) {
    ctx->save_for_backward({x});
    ctx->saved_data["activation"] = static_cast<int64_t>(activation);
    ctx->saved_data["gated"] = gated;
    return KernelsFor(x).feed_forward(x, activation, gated);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const at::Tensor x = ctx->get_saved_variables()[0];
    const auto activation = static_cast<kernels::Activation>(ctx->saved_data["activation"].toInt());
    return {KernelsFor(x).feed_forward_backward(gradients[0].contiguous(), x, activation,
                                                ctx->saved_data["gated"].toBool()),
            at::Tensor(), at::Tensor()};
  }
};

struct RopeFunction : Function<RopeFunction> {
  static at::Tensor forward(AutogradContext* ctx, at::Tensor x, const at::Tensor& table, int64_t length,
                            int64_t heads) {
    KernelsFor(x).rope(x, table, length, heads, table.size(1), /*inverse=*/false, x);
    ctx->mark_dirty({x});
    ctx->save_for_backward({table});
    ctx->saved_data["length"] = length;
    ctx->saved_data["heads"] = heads;
    return x;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    // In place where nobody else has this gradient, as when attention has just made it.
    const bool alone = gradients[0].use_count() == 1 && gradients[0].storage().use_count() == 1;
    const at::Tensor dy = gradients[0].contiguous(), table = ctx->get_saved_variables()[0];
    const at::Tensor dx = alone ? dy : at::empty_like(dy);
    KernelsFor(dy).rope(dy, table, ctx->saved_data["length"].toInt(), ctx->saved_data["heads"].toInt(), table.size(1),
                        /*inverse=*/true, dx);
    return {dx, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor Value(const Weight& weight) {
  if (!weight.gradient.defined() || !at::GradMode::is_enabled()) return weight.compute;
  return ValueFunction::apply(weight.compute, weight);
}

at::Tensor Embedding(const Weight& table_VC, const at::Tensor& ids_N) {
  return EmbeddingFunction::apply(table_VC.compute, ids_N, table_VC);
}

at::Tensor Linear(const at::Tensor& x_NC, const Weight& weight_OC) {
  return LinearFunction::apply(x_NC, weight_OC.compute, weight_OC);
}

at::Tensor RmsNorm(const at::Tensor& x_NC, const Weight& weight_C, double epsilon) {
  if (KernelsFor(x_NC).rms_norm) return RmsNormFunction::apply(x_NC, weight_C.compute, weight_C, epsilon);
  return reference::RmsNorm(x_NC, Value(weight_C), epsilon);
}

AddedAndNormed AddRmsNorm(const at::Tensor& x_NC, const at::Tensor& residual_NC, const Weight& weight_C,
                          double epsilon) {
  if (KernelsFor(x_NC).add_rms_norm) {
    const variable_list out = AddRmsNormFunction::apply(x_NC, residual_NC, weight_C.compute, weight_C, epsilon);
    return {out[0], out[1]};
  }
  const at::Tensor sum_NC = x_NC + residual_NC;
  return {sum_NC, RmsNorm(sum_NC, weight_C, epsilon)};
}

at::Tensor FeedForwardUnit(const at::Tensor& x, kernels::Activation activation, bool gated) {
  if (KernelsFor(x).feed_forward) return FeedForwardFunction::apply(x, activation, gated);
  return reference::FeedForward(x, activation, gated);
}

at::Tensor RopeTable(int64_t length, int64_t head_dim, double theta, at::TensorOptions options) {
  const auto wide = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor exponent = at::arange(head_dim / 2, wide) * (-2.0 / static_cast<double>(head_dim));
  const at::Tensor angle = at::arange(length, wide).unsqueeze(1) * (exponent * std::log(theta)).exp();
  return at::cat({angle.cos(), angle.sin()}, 1).to(options);
}

at::Tensor Rope(const at::Tensor& x_NW, const at::Tensor& table_TD, int64_t length, int64_t rotated_heads) {
  if (KernelsFor(x_NW).rope) return RopeFunction::apply(x_NW, table_TD, length, rotated_heads);
  return reference::Rope(x_NW, table_TD, length, rotated_heads, table_TD.size(1));
}

}  // namespace sink
