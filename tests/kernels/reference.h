// Plain formulas in double with which the kernels are compared, and tools to compare. Test helper.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace sink::kernels::testing {

inline std::vector<float> Random(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

inline std::vector<double> Wide(const std::vector<float>& x) { return {x.begin(), x.end()}; }

inline double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Norm of the difference over the norm of what was expected; NaN stays NaN and fails every comparison.
inline double RelativeError(const std::vector<float>& actual, const std::vector<double>& expected) {
  double difference = 0;
  for (size_t i = 0; i < expected.size(); ++i) difference += std::pow(actual[i] - expected[i], 2);
  return std::sqrt(difference / std::max(Dot(expected, expected), 1e-30));
}

inline std::vector<double> RmsNorm(const std::vector<double>& x, const std::vector<double>& weight, int rows,
                                   int columns) {
  std::vector<double> y(x.size());
  for (int r = 0; r < rows; ++r) {
    double squares = 0;
    for (int c = 0; c < columns; ++c) squares += x[r * columns + c] * x[r * columns + c];
    for (int c = 0; c < columns; ++c)
      y[r * columns + c] = x[r * columns + c] / std::sqrt(squares / columns + 1e-5) * weight[c];
  }
  return y;
}

}  // namespace sink::kernels::testing
