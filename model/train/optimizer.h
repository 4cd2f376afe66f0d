// The optimizer of a run: AdamW (kernels/adamw.h has the formula) over all parameters of a model as one vector, and the
// moments that a checkpoint keeps. Belongs to the training thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/transformer.h"
#include "proto/config/job_config.h"

namespace sink::train {

class AdamW {
 public:
  // Moments start at zero, on the device of the model's values.
  AdamW(const TrainConfig& config, const Transformer& model);

  // One update of the model's values from gradient_scale * its gradients. `step` counts the updates done before; it
  // corrects the bias of the moments. Every parameter decays, by learning_rate * weight_decay of its value.
  void Update(Transformer& model, int64_t step, double learning_rate, double gradient_scale);

  // First and second moment, float [parameter count], laid out like Transformer::values().
  const at::Tensor& first_moment() const { return first_moment_; }
  const at::Tensor& second_moment() const { return second_moment_; }

 private:
  const TrainConfig config_;
  at::Tensor first_moment_, second_moment_;
};

}  // namespace sink::train
