// The optimizer's arithmetic over whole buffers.
#include <ATen/core/grad_mode.h>

#include "model/backend/backend.h"
#include "model/backend/reference_ops.h"
#include "model/network/operations.h"

namespace sink {

void AdamWUpdate(const kernels::AdamWStep& step, const at::Tensor& gradient, const at::Tensor& value,
                 const at::Tensor& first_moment, const at::Tensor& second_moment) {
  const at::NoGradGuard no_gradients;
  const auto kernel = KernelsFor(value).adamw;
  (kernel ? kernel : reference::AdamW)(step, gradient, value, first_moment, second_moment);
}

double Norm(const at::Tensor& x) {
  const auto kernel = KernelsFor(x).norm;
  return (kernel ? kernel : reference::Norm)(x);
}

}  // namespace sink
