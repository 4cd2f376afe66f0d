// The output head with its loss: where the forward pass turns round. Logits exist for one block of rows at a time.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "model/backend/backend.h"
#include "model/backend/reference_ops.h"
#include "model/network/operations.h"

namespace sink {
namespace {

// Each block reads and writes the head's whole gradient, V x C: blocks of 2C rows keep that below the logits' traffic.
// Beyond 1024 rows little is left to gain on a device that does not ask for more, and the block is what this costs in
// memory.
int64_t BlockRows(const Kernels& kernels, int64_t columns) {
  return kernels.loss_rows > 0 ? kernels.loss_rows : std::clamp<int64_t>(2 * columns, 256, 1024);
}

}  // namespace

at::Tensor HeadLoss(const at::Tensor& hidden_NC, const Weight& head, const at::Tensor& targets_N, double scale,
                    at::Tensor* hidden_gradient) {
  const at::NoGradGuard no_gradients;
  const at::Tensor& head_VC = head.compute;
  const Kernels& kernels = KernelsFor(hidden_NC);
  const auto losses_of = kernels.cross_entropy ? kernels.cross_entropy : reference::CrossEntropy;
  const auto product = kernels.product ? kernels.product : reference::Product;
  const auto add_product = kernels.add_product ? kernels.add_product : reference::AddProduct;
  const int64_t rows = hidden_NC.size(0), block = BlockRows(kernels, hidden_NC.size(1));
  if (hidden_gradient) *hidden_gradient = at::empty_like(hidden_NC);
  const at::Tensor losses = at::empty({rows}, hidden_NC.options().dtype(SummedType(hidden_NC)));
  at::Tensor buffer = at::empty({std::min(block, rows), head_VC.size(0)}, hidden_NC.options());
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    const at::Tensor hidden = hidden_NC.narrow(0, first, count);
    at::Tensor logits = buffer.narrow(0, 0, count);
    product(hidden, head_VC, /*transpose_b=*/true, /*add=*/false, logits);
    losses.narrow(0, first, count)
        .copy_(losses_of(logits, targets_N.narrow(0, first, count), scale / static_cast<double>(rows),
                         hidden_gradient != nullptr));
    if (!hidden_gradient) continue;
    product(logits, head_VC, /*transpose_b=*/false, /*add=*/false, hidden_gradient->narrow(0, first, count));
    add_product(logits, hidden, head.gradient);
  }
  return losses.mean();
}

}  // namespace sink
