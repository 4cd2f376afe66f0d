#include "model/open/rows.h"

#include "model/backend/backend.h"
#include "model/backend/reference_ops.h"

namespace sink {

void RotateRows(const at::Tensor& x_NW, const at::Tensor& table_TR, int64_t length, int64_t heads, int64_t head_dim) {
  if (const auto kernel = KernelsFor(x_NW).rope)
    kernel(x_NW, table_TR, length, heads, head_dim, /*inverse=*/false, x_NW);
  else
    x_NW.copy_(reference::Rope(x_NW, table_TR, length, heads, head_dim));
}

void ActivateRows(OpenActivation activation, const at::Tensor& bias_F, const at::Tensor& x_NF) {
  if (const auto kernel = KernelsFor(x_NF).bias_activation)
    kernel(activation, bias_F, x_NF);
  else
    x_NF.copy_(reference::BiasActivation(activation, bias_F, x_NF));
}

void AddToLogSum(const at::Tensor& x_NV, const at::Tensor& log_sum_N) {
  if (const auto kernel = KernelsFor(x_NV).add_to_log_sum)
    kernel(x_NV, log_sum_N);
  else
    log_sum_N.copy_(reference::AddToLogSum(x_NV, log_sum_N));
}

}  // namespace sink
