// The optimizer's arithmetic over whole buffers.
#include <ATen/core/grad_mode.h>

#include "model/backend/backend.h"
#include "model/backend/reference_ops.h"
#include "model/network/operations.h"

namespace sink {

void AdamWUpdate(const kernels::AdamWStep& step, const AdamWBuffers& buffers, const at::Tensor& gradient_scale) {
  const at::NoGradGuard no_gradients;
  const auto kernel = KernelsFor(buffers.value).adamw;
  (kernel ? kernel : reference::AdamW)(step, buffers, gradient_scale);
}

Clipping Clip(const at::Tensor& gradient, double max_norm) {
  const at::NoGradGuard no_gradients;
  const auto kernel = KernelsFor(gradient).clipping;
  return (kernel ? kernel : reference::Clip)(gradient, max_norm);
}

}  // namespace sink
