// The product that adds up in float. Elsewhere models call ATen's products, which are cuBLAS's here.
#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>

#include "kernels/cuda/types.h"
#include "model/backend/cuda/entries.h"

namespace sink::cuda {

template <>
void AddProduct<float>(const at::Tensor& a_NO, const at::Tensor& b_NC, const at::Tensor& sum_OC) {
  sum_OC.addmm_(a_NO.t(), b_NC);
}

template <>
void AddProduct<kernels::cuda::Bfloat16>(const at::Tensor& a_NO, const at::Tensor& b_NC, const at::Tensor& sum_OC) {
  at::Tensor sum = sum_OC;
  at::addmm_out(sum, sum_OC, a_NO.t(), b_NC, at::kFloat);
}

}  // namespace sink::cuda
