// Products of activations that are float with weights of either type: float, or bfloat16, and then the operands are
// rounded to that and their products added up in float. For models that are measured, not trained. Pure functions; they
// use ATen's threads.
#pragma once

#include <ATen/core/Tensor.h>

namespace sink {

// x W^T in float, and that plus a bias in float, which may be undefined.
at::Tensor Product(const at::Tensor& x_NC, const at::Tensor& weight_OC);
at::Tensor Product(const at::Tensor& x_NC, const at::Tensor& weight_OC, const at::Tensor& bias_O);
// y = x W^T, and y += x W^T.
void ProductInto(const at::Tensor& x_NC, const at::Tensor& weight_OC, at::Tensor& y_NO);
void AddProduct(const at::Tensor& x_NC, const at::Tensor& weight_OC, const at::Tensor& y_NO);

}  // namespace sink
