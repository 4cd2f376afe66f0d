// The differentiable operations of the transformer: one kernel of the tensors' device forward and one backward where
// there is one (model/backend/backend.h), else the same formula in ATen's operations. A backward pass adds a weight's
// gradient to Weight::gradient. Activations are dense, [N, ...] with N = B * T rows, sequence by sequence. Pure
// functions; they use ATen's threads, and with a fixed number of threads give the same bits every time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/adamw.h"
#include "kernels/feed_forward.h"
#include "model/backend/backend.h"
#include "model/network/weight.h"

namespace sink {

// Rows of the table, [N, C]. ids int64 [N].
at::Tensor Embedding(const Weight& table_VC, const at::Tensor& ids_N);

// x W^T, [N, out].
at::Tensor Linear(const at::Tensor& x_NC, const Weight& weight_OC);

// x / sqrt(mean(x^2) + epsilon) * weight, over the last dimension.
at::Tensor RmsNorm(const at::Tensor& x_NC, const Weight& weight_C, double epsilon);

// x + residual, and RMSNorm of that.
struct AddedAndNormed {
  at::Tensor sum_NC, normed_NC;
};
AddedAndNormed AddRmsNorm(const at::Tensor& x_NC, const at::Tensor& residual_NC, const Weight& weight_C,
                          double epsilon);

// The nonlinearity of a feed-forward block (kernels/feed_forward.h), [N, F]. Gated: act(gate) * up of x [N, 2F], a row
// being gate, then up; otherwise act(x) of x [N, F].
at::Tensor FeedForwardUnit(const at::Tensor& x, kernels::Activation activation, bool gated);

// Cosines and sines of positions 0 .. length-1, [length, head_dim], of type float (or double for double tensors).
at::Tensor RopeTable(int64_t length, int64_t head_dim, double theta, at::TensorOptions options);

// Turns the first rotated_heads * head_dim values of each row by its position n % length; the others pass. In place
// where there is a kernel: x must not be used afterwards.
at::Tensor Rope(const at::Tensor& x_NW, const at::Tensor& table_TD, int64_t length, int64_t rotated_heads);

// Mean cross-entropy of the logits hidden * head^T, a scalar, a block of rows at a time so that the logits of a large
// batch never exist at once. Not differentiable: where hidden_gradient is given, it becomes scale * d(loss)/d(hidden),
// [N, C], and scale * d(loss)/d(head) is added to head.gradient.
at::Tensor HeadLoss(const at::Tensor& hidden_NC, const Weight& head_VC, const at::Tensor& targets_N, double scale,
                    at::Tensor* hidden_gradient);

// One AdamW step over whole buffers (kernels/adamw.h has the formula), the gradient times *gradient_scale too where
// that is defined; 0 there changes nothing.
void AdamWUpdate(const kernels::AdamWStep& step, const AdamWBuffers& buffers, const at::Tensor& gradient_scale = {});

// The gradient's norm, and the factor that brings it down to max_norm (0: 1), on its device.
Clipping Clip(const at::Tensor& gradient, double max_norm);

}  // namespace sink
