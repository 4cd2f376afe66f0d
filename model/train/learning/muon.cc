#include "model/train/learning/muon.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

namespace sink::train {
namespace {

// The quintic whose repetition lifts small singular values fastest and keeps the others near 1.
constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
constexpr int kIterations = 5;
constexpr double kTiny = 1e-7;  // against dividing by zero

}  // namespace

at::Tensor Orthogonalize(const at::Tensor& x) {
  const bool tall = x.size(0) > x.size(1);
  at::Tensor y = (tall ? x.t() : x) / (x.norm() + kTiny);
  for (int i = 0; i < kIterations; ++i) {
    const at::Tensor square = at::mm(y, y.t());
    const at::Tensor polynomial = at::addmm(square, square, square, kB, kC);
    y = at::addmm(y, polynomial, y, kA);
  }
  return tall ? y.t() : y;
}

MuonMatrix::MuonMatrix(const Parameter& parameter)
    : parameter_(parameter), momentum_(at::zeros_like(parameter.value)) {}

void MuonMatrix::Update(const MuonStep& step) {
  const at::NoGradGuard no_gradients;
  const at::Tensor gradient = parameter_.gradient * step.gradient_scale;
  const at::Tensor momentum = momentum_.mul(step.momentum).add_(gradient);
  const at::Tensor& copy = parameter_.copy;
  const at::ScalarType type = copy.defined() ? copy.scalar_type() : gradient.scalar_type();
  const at::Tensor direction = Orthogonalize(gradient.add(momentum, step.momentum).to(type));
  const double ratio = static_cast<double>(gradient.size(0)) / static_cast<double>(gradient.size(1));
  const at::Tensor value = parameter_.value.mul(1 - step.learning_rate * step.weight_decay)
                               .sub_(direction, step.learning_rate * std::sqrt(std::max(1.0, ratio)));
  // The device decides, so that nobody waits for it; a gradient that does not count may hold anything.
  const at::Tensor counts = step.gradient_scale.ne(0);
  momentum_.copy_(at::where(counts, momentum, momentum_));
  parameter_.value.copy_(at::where(counts, value, parameter_.value));
  if (copy.defined()) copy.copy_(parameter_.value);
}

}  // namespace sink::train
