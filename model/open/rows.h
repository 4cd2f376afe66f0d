// What an open model does to each row of its activations by itself, in place: one kernel of the tensors' device where
// there is one, else the reference's formula (model/backend/backend.h). Float, dense. Pure functions; they use ATen's
// threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/open/family.h"

namespace sink {

// Rotates the first `dims` values of each of the first `heads` heads by the row's position n % length. The table,
// [length, dims]: cosines, then sines. Value i pairs with i + dims / 2.
void RotateRows(const at::Tensor& x_NW, const at::Tensor& table_TR, int64_t length, int64_t heads, int64_t head_dim);

// x = act(x + bias); bias may be undefined.
void ActivateRows(OpenActivation activation, const at::Tensor& bias_F, const at::Tensor& x_NF);

// log_sum = log(exp(log_sum) + sum exp(x)).
void AddToLogSum(const at::Tensor& x_NV, const at::Tensor& log_sum_N);

}  // namespace sink
