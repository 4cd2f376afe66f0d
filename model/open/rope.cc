#include "model/open/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sink {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

// With wavelength w = 2 pi / f and P original positions, f stays where w < P / high, is divided by `factor` where
// w > P / low, and between them is (1 - s) f / factor + s f, s = (P / w - low) / (high - low).
double Llama3(const RopeConfig& rope, double f) {
  const double turns = static_cast<double>(rope.original_positions) * f / kTurn;  // P / w
  const double s = std::clamp((turns - rope.low) / (rope.high - rope.low), 0.0, 1.0);
  return (1 - s) * f / rope.factor + s * f;
}

// Pairs that turn more than `high` times within the original positions stay, those of less than `low` turns are divided
// by `factor`, with a ramp between, linear in the pair's index.
void Yarn(const RopeConfig& rope, std::vector<double>& frequencies) {
  const auto dims = static_cast<double>(rope.dims);
  const auto pair_of = [&](double turns) {
    return dims * std::log(static_cast<double>(rope.original_positions) / (turns * kTurn)) / (2 * std::log(rope.theta));
  };
  double first = pair_of(rope.high), last = pair_of(rope.low);
  if (rope.truncate) first = std::floor(first), last = std::ceil(last);
  first = std::max(first, 0.0);
  last = std::min(last, dims - 1);
  if (first == last) last += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - first) / (last - first), 0.0, 1.0);
    frequencies[i] *= ramp / rope.factor + (1 - ramp);
  }
}

}  // namespace

std::vector<double> RopeFrequencies(const RopeConfig& rope, int64_t length) {
  const auto dims = static_cast<double>(rope.dims);
  double theta = rope.theta;
  if (rope.scaling == RopeScaling::kDynamic && length > rope.max_positions && rope.dims > 2)
    theta *= std::pow(
        rope.factor * static_cast<double>(length) / static_cast<double>(rope.max_positions) - (rope.factor - 1),
        dims / (dims - 2));
  std::vector<double> frequencies;
  for (int64_t i = 0; i < rope.dims / 2; ++i)
    frequencies.push_back(std::pow(theta, -2.0 * static_cast<double>(i) / dims));
  switch (rope.scaling) {
    case RopeScaling::kNone:
    case RopeScaling::kDynamic:
      break;
    case RopeScaling::kLinear:
      for (double& f : frequencies) f /= rope.factor;
      break;
    case RopeScaling::kLlama3:
      for (double& f : frequencies) f = Llama3(rope, f);
      break;
    case RopeScaling::kYarn:
      Yarn(rope, frequencies);
      break;
    case RopeScaling::kLongRope: {
      const std::vector<double>& factors = length > rope.original_positions ? rope.long_factors : rope.short_factors;
      for (size_t i = 0; i < frequencies.size(); ++i) frequencies[i] /= factors[i];
      break;
    }
  }
  return frequencies;
}

}  // namespace sink
