// Muon (Keller Jordan 2024, kellerjordan.github.io/posts/muon): momentum whose update of a matrix is replaced by a
// nearly orthogonal matrix. Belongs to the training thread.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/network/parameters.h"

namespace sink::train {

// A matrix with the singular vectors of x, [rows, columns], and singular values near 1: 0.68 to 1.21 where those of x
// are above 0.002 of its Frobenius norm |x|, less below. Five Newton-Schulz iterations X <- aX + (bA + cA^2)X, with
// A = XX^T, from x / |x|, transposed when it is tall. Zero for zero. In x's type; bfloat16 serves.
at::Tensor Orthogonalize(const at::Tensor& x);

struct MuonStep {
  double learning_rate = 0;
  double momentum = 0.95;
  double weight_decay = 0;
  // The gradient is multiplied by this first: clipping. A scalar on its device; where it is 0, nothing changes.
  at::Tensor gradient_scale;
};

// One parameter, [rows, columns], that Muon updates, with its momentum.
class MuonMatrix {
 public:
  // Views the parameter; momentum starts at zero, on its device. With a copy in bfloat16, that follows the value, and
  // the iterations are in bfloat16.
  explicit MuonMatrix(const Parameter& parameter);

  // With g = gradient * gradient_scale: m = mu m + g; value -= lr * decay * value;
  // value -= lr * sqrt(max(1, rows / columns)) * Orthogonalize(g + mu m).
  void Update(const MuonStep& step);

  const Parameter& parameter() const { return parameter_; }
  const at::Tensor& momentum() const { return momentum_; }

 private:
  const Parameter parameter_;
  at::Tensor momentum_;
};

}  // namespace sink::train
