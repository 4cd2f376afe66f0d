// What learns: a model, its optimizer, and the step that a run repeats, on one rank or several. Knows nothing of files,
// events or evaluation, so that tests and benchmarks can feed it any batches. Belongs to the training thread.
//
// Ranks. Each has the whole model and trains it on its share of a step's batch; the gradients are summed over the
// ranks, and all update alike. With train.shard_optimizer a rank has the optimizer's state of its part of the model
// alone, updates that part and gives it to the others.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/backend/device_queue.h"
#include "model/network/transformer.h"
#include "model/train/learning/micro_batch.h"
#include "model/train/learning/optimizer.h"
#include "model/train/ranks/gradient_sum.h"
#include "model/train/ranks/ranks.h"
#include "proto/config/job_config.h"

namespace sink::train {

// Settings of the whole process, before its first large tensor: LibTorch's threads, and an allocator that keeps what is
// freed. Every step frees and allocates the same activations; given back to the kernel, each of their pages would be
// faulted in and zeroed again, 4 % of a step at hidden size 768.
void PrepareProcess(int threads);
// LibTorch's deterministic algorithms, part of a run's identity; before a device is opened.
void ComputeTheSameEveryTime();

// What the model computes in under train.precision: bfloat16 also runs on a CPU, where it is slow. Values, gradients,
// moments and what is measured are in float in any case.
at::ScalarType ComputeType(Precision precision, at::Device device);

struct StepResult {
  double loss = 0;           // mean over the targets of the step that count (train.ignore_loss), in nats
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;
  bool diverged = false;  // loss or gradient norm is not finite, or the loss is above the limit: nothing was updated
};

// A step that was begun: its numbers may still be on the device, or on the way from there.
struct BegunStep {
  HostCopy numbers;  // double: loss and gradient norm
  double learning_rate = 0;
  double loss_limit = 0;
};

class Learner {
 public:
  // One micro-batch, int64 [micro_batch_size(), sequence_length + 1] on the model's device; nothing to give the step
  // up.
  using NextBatch = std::function<std::optional<at::Tensor>()>;

  // At step 0. UserError when the batch cannot be shared out among the ranks. Without `ranks`, alone; they must outlive
  // it. `pass`, for tests, stands in for the model's.
  Learner(const JobConfig& config, at::Device device, Ranks* ranks = nullptr, Pass pass = nullptr);
  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;

  // Sequences of a micro-batch: train.micro_batch_size or, where that is auto, the most that fit the memory of every
  // rank's device (at most 8 on a device that does not say what fits).
  int64_t micro_batch_size() const { return micro_batch_size_; }

  // What of that a checkpoint must have, and what a run that goes on from it does with it: micro-batches of the same
  // size, unless this device, or a rank of others, has not the memory for them, of which a warning tells; in as many
  // parts.
  Division division() const;
  void GoOnWith(const Division& division);
  // Collective: all ranks cut their micro-batches from here on if one does, so that a checkpoint can say it of all.
  void AgreeOnDivision();

  // Gives back the memory that a recorded pass holds between steps, until it is recorded anew.
  void ForgetRecording() { passes_.Forget(); }

  // Back to step 0: the initial model of the seed, an optimizer that has seen nothing, LibTorch's random generators
  // seeded.
  void Reset();

  // Optimizer step number `step` (0-based), with the same result on every rank. Nothing, and no change of the model,
  // when next_batch gave up; with several ranks it must not. When the device has not the memory for a micro-batch, the
  // step begins anew with each cut in two equal passes (an odd one in the fewest that are), and so do all later ones:
  // once, and not where gradients are on their way to other ranks already.
  std::optional<StepResult> Step(int64_t step, const NextBatch& next_batch,
                                 double loss_limit = std::numeric_limits<double>::infinity());

  // The same in two halves, so that the host can begin a step before it knows the numbers of the last one. A step that
  // diverges, and each one begun between it and its Finish, changes nothing.
  std::optional<BegunStep> Begin(int64_t step, const NextBatch& next_batch, double loss_limit);
  StepResult Finish(const BegunStep& begun);

  // What people should know of the steps so far, since it was asked last.
  std::vector<std::string> TakeWarnings();

  Transformer& model() { return model_; }
  // For measuring: the same parameters, computed with as they are, in float.
  Transformer& exact_model() { return exact_ ? *exact_ : model_; }

  // The optimizer of the whole model, which checkpoints hold whatever the ranks: this one's or, when it is sharded and
  // this is rank 0, a second one, with room for the other ranks' parts.
  std::shared_ptr<Optimizer> WholeOptimizer();
  // Collective: brings all parts to rank 0's `whole`.
  void Gather(Optimizer& whole);
  // Collective: rank 0's model, and its `whole`, to all.
  void Scatter(Optimizer& whole);

 private:
  bool sharded() const { return config_.train.shard_optimizer && ranks_.size() > 1; }
  Part PartOfRank(int rank) const;
  void MoveParts(Optimizer& whole, bool to_first);
  bool chooses_size() const { return config_.train.micro_batch_size == 0; }
  int64_t ChooseMicroBatch(at::Device device);
  bool Fits(int64_t sequences, at::Device device);
  // Gradients and losses of the step's micro-batches, summed; false when next_batch gave up.
  bool RunMicroBatches(const NextBatch& next_batch, GradientSum& sum);
  void RunMicroBatch(const at::Tensor& batch_BT1, const GradientsReady& ready);
  // Whether the step should begin anew after that, with less at once.
  bool Halve(const std::exception& error, bool sums_begun);

  const JobConfig config_;
  Ranks alone_;
  Ranks& ranks_;
  Transformer model_;
  std::optional<Transformer> exact_;  // where model_ computes in bfloat16
  Optimizer optimizer_;
  at::Tensor going_;     // a float on the device: 0 from a diverged step on until its Finish, else 1
  at::Tensor loss_sum_;  // of the step's micro-batches on this rank, on the device
  const Pass pass_;
  Passes passes_;
  const int64_t most_;  // sequences of a micro-batch that fit, or those of the configuration
  int64_t micro_batch_size_ = most_;
  int64_t parts_ = 1;  // passes of a micro-batch
  std::vector<std::string> warnings_;
};

}  // namespace sink::train
