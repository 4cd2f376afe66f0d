// The output head with its loss: where the forward pass turns round. Logits exist for one block of rows at a time.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>

#include <algorithm>

#include "kernels/cross_entropy.h"
#include "model/network/operations.h"

namespace sink {
namespace {

// Losses of the rows, [rows]; with want_gradient the logits become scale * d(sum of losses)/d(logits).
at::Tensor RowLosses(at::Tensor& logits, const at::Tensor& targets, double scale, bool want_gradient) {
  const int64_t rows = logits.size(0), vocabulary = logits.size(1);
  if (logits.is_cpu() && logits.scalar_type() == at::kFloat) {
    const at::Tensor losses = at::empty({rows}, logits.options());
    float *x = logits.mutable_data_ptr<float>(), *loss = losses.mutable_data_ptr<float>();
    const int64_t* target = targets.const_data_ptr<int64_t>();
    at::parallel_for(0, rows, 1 + (1 << 14) / vocabulary, [&](int64_t first, int64_t last) {
      if (want_gradient)
        kernels::CrossEntropyForwardBackward(x + first * vocabulary, target + first, last - first, vocabulary,
                                             static_cast<float>(scale), loss + first);
      else
        kernels::CrossEntropyForward(x + first * vocabulary, target + first, last - first, vocabulary, loss + first);
    });
    return losses;
  }
  const at::Tensor log_probability = at::log_softmax(logits, 1);
  const at::Tensor target = targets.unsqueeze(1);
  const at::Tensor losses = -log_probability.gather(1, target).squeeze(1);
  if (want_gradient) {
    logits = log_probability.exp().mul_(scale);
    logits.scatter_add_(1, target, at::full(target.sizes(), -scale, logits.options()));
  }
  return losses;
}

}  // namespace

at::Tensor HeadLoss(const at::Tensor& hidden_NC, const at::Tensor& head_VC, const at::Tensor& targets_N, double scale,
                    at::Tensor* hidden_gradient) {
  const at::NoGradGuard no_gradients;
  const int64_t rows = hidden_NC.size(0), columns = hidden_NC.size(1);
  // Each block reads and writes the head's whole gradient, V x C: blocks of 2C rows keep that below the logits'
  // traffic. Beyond 1024 rows little is left to gain, and the block is what this costs in memory.
  const int64_t block = std::clamp<int64_t>(2 * columns, 256, 1024);
  if (hidden_gradient) *hidden_gradient = at::empty_like(hidden_NC);
  const at::Tensor losses = at::empty({rows}, hidden_NC.options());
  at::Tensor buffer = at::empty({std::min(block, rows), head_VC.size(0)}, hidden_NC.options());
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    const at::Tensor hidden = hidden_NC.narrow(0, first, count);
    at::Tensor logits = buffer.narrow(0, 0, count);
    at::mm_out(logits, hidden, head_VC.t());
    losses.narrow(0, first, count)
        .copy_(RowLosses(logits, targets_N.narrow(0, first, count), scale / static_cast<double>(rows),
                         hidden_gradient != nullptr));
    if (!hidden_gradient) continue;
    at::Tensor gradient = hidden_gradient->narrow(0, first, count);
    at::mm_out(gradient, logits, head_VC);
    head_VC.grad().addmm_(logits.t(), hidden);
  }
  return losses.mean();
}

}  // namespace sink
