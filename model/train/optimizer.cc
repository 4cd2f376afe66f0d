#include "model/train/optimizer.h"

#include <ATen/ops/zeros_like.h>

#include "model/ops.h"

namespace sink::train {

AdamW::AdamW(const TrainConfig& config, const Transformer& model)
    : config_(config), first_moment_(at::zeros_like(model.values())), second_moment_(at::zeros_like(model.values())) {}

void AdamW::Update(Transformer& model, int64_t step, double learning_rate, double gradient_scale) {
  const kernels::AdamWStep update{.learning_rate = learning_rate,
                                  .beta1 = config_.beta1,
                                  .beta2 = config_.beta2,
                                  .epsilon = config_.epsilon,
                                  .weight_decay = config_.weight_decay,
                                  .step = step + 1,
                                  .gradient_scale = gradient_scale};
  AdamWUpdate(update, model.gradients(), model.values(), first_moment_, second_moment_);
}

}  // namespace sink::train
