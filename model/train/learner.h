// What learns: a model, its optimizer, and the step that a run repeats. Knows nothing of files, events or evaluation,
// so that tests and benchmarks can feed it any batches. Belongs to the training thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>

#include "model/train/optimizer.h"
#include "model/transformer.h"
#include "proto/config/job_config.h"

namespace sink::train {

// Settings of the whole process, before its first large tensor: LibTorch's threads, and an allocator that keeps what is
// freed. Every step frees and allocates the same activations; given back to the kernel, each of their pages would be
// faulted in and zeroed again, 4 % of a step at hidden size 768.
void PrepareProcess(int threads);

struct StepResult {
  double loss = 0;           // mean over the targets of the step that count (train.ignore_loss), in nats
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;
  bool diverged = false;  // loss or gradient norm is not finite, or the loss is above the limit: nothing was updated
};

class Learner {
 public:
  // One micro-batch, int64 [micro_batch_size, sequence_length + 1] on the model's device; nothing to give the step up.
  using NextBatch = std::function<std::optional<at::Tensor>()>;

  // At step 0. UserError when the precision is not available on the device.
  Learner(const JobConfig& config, at::Device device);

  // Back to step 0: the initial model of the seed, an optimizer that has seen nothing, LibTorch's random generators
  // seeded.
  void Reset();

  // Optimizer step number `step` (0-based). Nothing, and no change of the model, when next_batch gave up.
  std::optional<StepResult> Step(int64_t step, const NextBatch& next_batch,
                                 double loss_limit = std::numeric_limits<double>::infinity());

  Transformer& model() { return model_; }
  const Optimizer& optimizer() const { return optimizer_; }

 private:
  const JobConfig config_;
  Transformer model_;
  Optimizer optimizer_;
};

}  // namespace sink::train
