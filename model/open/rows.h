// What an open model does to each row of its activations by itself. On a CPU one fused kernel (kernels/) each; on any
// other device the same formula in ATen's operations, which is also what the tests compare the kernels with. Float,
// dense. Pure functions; they use ATen's threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/open/family.h"

namespace sink {

// Rotates the first `dims` values of each of the first `heads` heads by the row's position n % length, in place. The
// table, [length, dims]: cosines, then sines. Value i pairs with i + dims / 2.
void RotateRows(const at::Tensor& x_NW, const at::Tensor& table_TR, int64_t length, int64_t heads, int64_t head_dim);

// x = act(x + bias), in place (kernels/bias_activation.h); bias may be undefined.
void ActivateRows(OpenActivation activation, const at::Tensor& bias_F, const at::Tensor& x_NF);

// log_sum = log(exp(log_sum) + sum exp(x)), in place.
void AddToLogSum(const at::Tensor& x_NV, const at::Tensor& log_sum_N);

}  // namespace sink
