// The operations as formulas in ATen's operations: what runs on a device or a type that has no kernel for it, and what
// the tests compare kernels with. All are differentiable by autograd in every argument that is a floating tensor, but
// those that change an argument in place. Rows as in model/network/operations.h. In bfloat16, what a formula sums is
// summed in float and rounded once (model/backend/backend.h says which tensors are in float then). Pure functions; any
// thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/adamw.h"
#include "kernels/bias_activation.h"
#include "kernels/feed_forward.h"
#include "model/backend/backend.h"

namespace sink::reference {

// out_NO = a_NC b_CO, or a_NC b_OC^T, or that added to out.
void Product(const at::Tensor& a_NC, const at::Tensor& b, bool transpose_b, bool add, const at::Tensor& out_NO);

// sum_OC += a_NO^T b_NC, in sum's type.
void AddProduct(const at::Tensor& a_NO, const at::Tensor& b_NC, const at::Tensor& sum_OC);

// table_gradient[ids[n]] += dy[n], in the gradient's type.
void EmbeddingBackward(const at::Tensor& dy_NC, const at::Tensor& ids_N, const at::Tensor& table_gradient_VC);

// x / sqrt(mean(x^2) + epsilon) * weight, over the last dimension.
at::Tensor RmsNorm(const at::Tensor& x_NC, const at::Tensor& weight_C, double epsilon);

// Gated: act(gate) * up of x [N, 2F], a row being gate, then up; otherwise act(x) of x [N, F]. Returns [N, F].
at::Tensor FeedForward(const at::Tensor& x, kernels::Activation activation, bool gated);

// x with the first R values of its first `heads` heads turned (kernels/rope.h), R the width of the table.
at::Tensor Rope(const at::Tensor& x_NW, const at::Tensor& table_TR, int64_t length, int64_t heads, int64_t head_dim);

// Losses of the rows, [R]; with want_gradient `logits` is replaced by scale * d(sum of losses)/d(logits).
at::Tensor CrossEntropy(at::Tensor& logits_RV, const at::Tensor& targets_R, double scale, bool want_gradient);

// In place; kernels/adamw.h has the formula.
void AdamW(const kernels::AdamWStep& step, const AdamWBuffers& buffers, const at::Tensor& gradient_scale);

Clipping Clip(const at::Tensor& gradient, double max_norm);

// act(x + bias); bias may be undefined.
at::Tensor BiasActivation(kernels::BiasActivation activation, const at::Tensor& bias_F, const at::Tensor& x_NF);

// log(exp(log_sum) + sum exp(x)), [N].
at::Tensor AddToLogSum(const at::Tensor& x_NV, const at::Tensor& log_sum_N);

}  // namespace sink::reference
