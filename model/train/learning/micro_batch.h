// The micro-batches of a step: how large they may be, and how one is run. Belongs to the training thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/backend/device_queue.h"
#include "model/network/transformer.h"
#include "proto/config/job_config.h"

namespace sink::train {

// The sizes that micro-batches may have: the divisors of a rank's sequences of a step, from 1 on.
std::vector<int64_t> MicroBatchSizes(int64_t sequences);

// The last of the sizes, which ascend, up to which all fit; 0 where not even the first does. Asks for one after the
// other until one does not fit.
int64_t LargestThatFits(const std::vector<int64_t>& sizes, const std::function<bool(int64_t size)>& fits);

// How a run's micro-batches are computed where the configuration leaves it to the device. A checkpoint has it, because
// sums of other parts round differently.
struct Division {
  int64_t sequences = 0;  // of a micro-batch, where train.micro_batch_size is auto; else 0
  int64_t parts = 1;      // passes of a micro-batch, all of one size
  bool operator==(const Division&) const = default;
};

// The fewest equal parts, more than one, of that many sequences: two of an even number. Equal ones, because a recording
// is good for one size. 1 where there is but one sequence.
int64_t PartsOf(int64_t sequences);

// Sequences of a forward pass that measures. A size that was found to be the most that fit leaves little room beside
// it, and a recorded step keeps its memory.
int64_t RowsToMeasure(const TrainConfig& config, int64_t micro_batch_size);

// A forward and a backward pass over batch_BT1, int64 [B, T + 1]: adds scale * d(loss)/d(parameter) to the gradients
// and returns the loss.
using Pass = std::function<at::Tensor(const at::Tensor& batch_BT1, double scale, const GradientsReady& ready)>;

// Runs passes. The first ones of a shape are run as they are; from then on, where the device can, the same work is a
// recording that is repeated, which frees the host from queueing some hundred operations. Where it cannot be recorded
// it goes on as it began, and a warning says why. The results are the same.
class Passes {
 public:
  using Recorder = std::function<std::unique_ptr<Recording>(const std::function<void()>& work)>;

  Passes(Pass pass, Recorder record);

  // Runs one, and adds weight * its loss to *loss_sum, a scalar that stays the same tensor from call to call. With
  // `ready` it is not repeated from a recording.
  void Run(const at::Tensor& batch_BT1, double scale, double weight, const at::Tensor& loss_sum,
           const GradientsReady& ready);

  // Whether the device has the memory for passes over such a batch, recorded where it can be, and for `beside` beside
  // the recording. Leaves anything in gradients and in *loss_sum, and no recording.
  bool Fits(const at::Tensor& batch_BT1, const at::Tensor& loss_sum, const std::function<void()>& beside);

  // Gives the memory of a recording back.
  void Forget();

  // Why nothing could be recorded; once, then empty.
  std::string TakeWarning();

 private:
  // What a recording is good for.
  struct Kind {
    std::vector<int64_t> shape;
    double scale = 0, weight = 0;
    bool operator==(const Kind&) const = default;
  };

  void RunOnce(const at::Tensor& batch_BT1, const Kind& kind, const at::Tensor& loss_sum, const GradientsReady& ready);
  bool Recorded(const at::Tensor& batch_BT1, const Kind& kind, const at::Tensor& loss_sum);

  const Pass pass_;
  const Recorder record_;
  Kind kind_;
  int runs_ = 0;            // of this kind
  bool can_record_ = true;  // until it turned out that it cannot
  at::Tensor input_BT1_;    // what the recording reads
  std::unique_ptr<Recording> recording_;
  std::string warning_;
};

}  // namespace sink::train
