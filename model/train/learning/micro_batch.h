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

namespace sink::train {

// The sizes that micro-batches may have: the divisors of a rank's sequences of a step, from 1 on.
std::vector<int64_t> MicroBatchSizes(int64_t sequences);

// The last of the sizes, which ascend, up to which all fit; 0 where not even the first does. Asks for one after the
// other until one does not fit.
int64_t LargestThatFits(const std::vector<int64_t>& sizes, const std::function<bool(int64_t size)>& fits);

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
