// Central differences: what every test compares a gradient with. Test helper without dependencies, so that tests of the
// kernels (vectors) and of the model (tensors) share the one formula; one thread.
#pragma once

#include <cstddef>
#include <vector>

namespace sink::testing {

// (f(x + step) - f(x - step)) / (2 step): the slope of f at x, where `above` and `below` are those two values.
inline double CentralDifference(double above, double below, double step) { return (above - below) / (2 * step); }

// The gradient of a scalar function f(const std::vector<double>&) at x, argument by argument.
template <typename Function>
std::vector<double> FiniteDifferences(std::vector<double> x, const Function& f, double step = 1e-5) {
  std::vector<double> gradient(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double here = x[i];
    x[i] = here + step;
    const double above = f(x);
    x[i] = here - step;
    gradient[i] = CentralDifference(above, f(x), step);
    x[i] = here;
  }
  return gradient;
}

// The slope of loss(), a number that depends on `values`, when they move along `direction`, a tensor of the same shape.
// Moves the values in place, there and back.
template <typename Tensor, typename Loss>
double SlopeAlong(const Tensor& values, const Tensor& direction, double step, const Loss& loss) {
  values.add_(direction, step);
  const double above = loss();
  values.add_(direction, -2 * step);
  const double below = loss();
  values.add_(direction, step);
  return CentralDifference(above, below, step);
}

}  // namespace sink::testing
