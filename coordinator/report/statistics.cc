// See statistics.h.
#include "coordinator/report/statistics.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace sink::report {
namespace {

// The continued fraction of the incomplete beta function, by Lentz's method.
double BetaFraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  const auto away_from_zero = [](double value) { return std::fabs(value) < kTiny ? kTiny : value; };
  double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), fraction = d;
  for (int m = 1; m <= 500; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    fraction *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    fraction *= d * c;
    if (std::fabs(d * c - 1) < 1e-15) break;
  }
  return fraction;
}

// The regularised incomplete beta function I_x(a, b).
double IncompleteBeta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * BetaFraction(a, b, x) / a;
  return 1 - front * BetaFraction(b, a, 1 - x) / b;
}

// P(|T| > t).
double Outside(double t, double freedom) { return IncompleteBeta(freedom / 2, 0.5, freedom / (freedom + t * t)); }

double VarianceOfMean(const Summary& s, double resolution) {
  return (s.deviation * s.deviation + resolution * resolution / 12) / s.n;
}

// a - b of each seed; nothing where their seeds are not the same ones.
std::optional<std::vector<double>> DifferencesBySeed(const Seeds& a, const Seeds& b) {
  if (a.size() != b.size() || a.seeds.size() != a.size() || b.seeds.size() != b.size()) return std::nullopt;
  std::map<int64_t, double> of_b;
  for (size_t i = 0; i < b.size(); ++i) of_b[b.seeds[i]] = b.values[i];
  std::vector<double> differences;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto other = of_b.find(a.seeds[i]);
    if (other == of_b.end()) return std::nullopt;
    differences.push_back(a.values[i] - other->second);
  }
  return differences;
}

}  // namespace

Summary Summarize(const std::vector<double>& values) {
  Summary s;
  if (values.empty()) return s;
  s.n = static_cast<int>(values.size());
  s.least = *std::min_element(values.begin(), values.end());
  s.most = *std::max_element(values.begin(), values.end());
  for (double value : values) s.mean += value / s.n;
  double squares = 0;
  for (double value : values) squares += (value - s.mean) * (value - s.mean);
  if (s.n > 1) s.deviation = std::sqrt(squares / (s.n - 1));
  return s;
}

double StudentQuantile(double outside, double freedom) {
  double low = 0, high = 1;
  while (Outside(high, freedom) > outside && high < 1e12) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (Outside(middle, freedom) > outside ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::optional<Interval> MeanInterval(const std::vector<double>& values, double outside, double resolution) {
  const Summary s = Summarize(values);
  if (s.n < 2) return std::nullopt;
  const double half = StudentQuantile(outside, s.n - 1) * std::sqrt(VarianceOfMean(s, resolution));
  return Interval{s.mean - half, s.mean + half};
}

std::optional<Interval> DifferenceInterval(const Seeds& a, const Seeds& b, double outside, double resolution) {
  // Of two values that are known up to a resolution each the difference has twice the variance.
  if (const auto differences = DifferencesBySeed(a, b))
    return MeanInterval(*differences, outside, std::sqrt(2.0) * resolution);
  const Summary sa = Summarize(a), sb = Summarize(b);
  if (sa.n < 2 || sb.n < 2) return std::nullopt;
  const double va = VarianceOfMean(sa, resolution), vb = VarianceOfMean(sb, resolution);
  const double difference = sa.mean - sb.mean;
  if (va + vb == 0) return Interval{difference, difference};
  const double freedom = (va + vb) * (va + vb) / (va * va / (sa.n - 1) + vb * vb / (sb.n - 1));
  const double half = StudentQuantile(outside, freedom) * std::sqrt(va + vb);
  return Interval{difference - half, difference + half};
}

}  // namespace sink::report
