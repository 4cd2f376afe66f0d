// What learns: a model, its optimizer, and the step that a run repeats. Knows nothing of files, events or evaluation,
// so that tests and benchmarks can feed it any batches. Belongs to the training thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>

#include "model/train/optimizer.h"
#include "model/transformer.h"
#include "proto/config/job_config.h"

namespace sink::train {

struct StepResult {
  double loss = 0;           // mean over the targets of the step that count (train.ignore_loss), in nats
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;
};

class Learner {
 public:
  // One micro-batch, int64 [micro_batch_size, sequence_length + 1] on the model's device; nothing to give the step up.
  using NextBatch = std::function<std::optional<at::Tensor>()>;

  // A model initialised from the seed. UserError when the precision is not available on the device.
  Learner(const JobConfig& config, at::Device device);

  // Optimizer step number `step` (0-based). Nothing, and no change of the model, when next_batch gave up. NanError when
  // the loss or the gradient is not finite; the model is then as it was before the step.
  std::optional<StepResult> Step(int64_t step, const NextBatch& next_batch);

  Transformer& model() { return model_; }
  const Optimizer& optimizer() const { return optimizer_; }

 private:
  const JobConfig config_;
  Transformer model_;
  Optimizer optimizer_;
};

}  // namespace sink::train
