// Sums the gradients over the ranks while the backward pass still computes others. They become final from the end of
// the model's flat vector to its start; whenever 25 MB of them are, they travel, at most 50 MB in one piece. One step,
// one object. Belongs to the training thread, and to the thread of its backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/train/ranks/ranks.h"

namespace sink::train {

class GradientSum {
 public:
  static constexpr int64_t kMinBytes = 25'000'000, kMaxBytes = 50'000'000;

  // `gradients` is one dense vector.
  GradientSum(Ranks& ranks, const at::Tensor& gradients);

  // The elements from `first` on are final. Calls come with decreasing `first`.
  void Ready(int64_t first);

  // All are final: returns when all are summed.
  void Finish();

 private:
  void Begin(int64_t first, int64_t min_elements);

  Ranks& ranks_;
  const at::Tensor gradients_;
  int64_t begun_;  // the elements from here on are under way
};

}  // namespace sink::train
