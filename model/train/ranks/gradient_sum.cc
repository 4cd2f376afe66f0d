#include "model/train/ranks/gradient_sum.h"

#include <algorithm>

namespace sink::train {

GradientSum::GradientSum(Ranks& ranks, const at::Tensor& gradients)
    : ranks_(ranks), gradients_(gradients), begun_(gradients.numel()) {}

void GradientSum::Ready(int64_t first) { Begin(first, kMinBytes / gradients_.element_size()); }

void GradientSum::Finish() {
  Begin(0, 1);
  ranks_.Finish();
}

void GradientSum::Begin(int64_t first, int64_t min_elements) {
  while (begun_ - first >= min_elements) {
    const int64_t count = std::min(begun_ - first, kMaxBytes / gradients_.element_size());
    begun_ -= count;
    ranks_.BeginSum(gradients_.narrow(0, begun_, count));
  }
}

}  // namespace sink::train
