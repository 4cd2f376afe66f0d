#include "model/backend/product.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

namespace sink {
namespace {

bool IsFloat(const at::Tensor& weight) { return weight.scalar_type() == at::kFloat; }

}  // namespace

at::Tensor Product(const at::Tensor& x_NC, const at::Tensor& weight_OC) {
  return IsFloat(weight_OC) ? at::mm(x_NC, weight_OC.t())
                            : at::mm(x_NC.to(weight_OC.scalar_type()), weight_OC.t()).to(at::kFloat);
}

at::Tensor Product(const at::Tensor& x_NC, const at::Tensor& weight_OC, const at::Tensor& bias_O) {
  if (IsFloat(weight_OC)) return at::linear(x_NC, weight_OC, bias_O);
  const at::Tensor y_NO = Product(x_NC, weight_OC);
  return bias_O.defined() ? y_NO.add_(bias_O) : y_NO;
}

void ProductInto(const at::Tensor& x_NC, const at::Tensor& weight_OC, at::Tensor& y_NO) {
  if (IsFloat(weight_OC))
    at::mm_out(y_NO, x_NC, weight_OC.t());
  else
    y_NO.copy_(Product(x_NC, weight_OC));
}

void AddProduct(const at::Tensor& x_NC, const at::Tensor& weight_OC, const at::Tensor& y_NO) {
  if (IsFloat(weight_OC))
    y_NO.addmm_(x_NC, weight_OC.t());
  else
    y_NO.add_(Product(x_NC, weight_OC));
}

}  // namespace sink
