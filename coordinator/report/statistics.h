// Intervals of means and of differences of means over seeds, by Student's t: seed by seed where two settings have the
// same seeds, else by Welch's approximation (Welch, Biometrika 34, 1947). A seed gives the initial values and the order
// of the data, so that its runs often rise and fall together, and what they share says nothing of the settings
// (common random numbers: Law, Simulation Modeling and Analysis, section 11.2). No bootstrap: with three to ten seeds,
// resampling them gives intervals that are too narrow, and this needs no random numbers. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace sink::report {

// Statistics of some numbers: what the seeds of a setting measured.
struct Summary {
  int n = 0;
  double mean = 0;
  double deviation = 0;  // sample standard deviation; 0 for one
  double least = 0;
  double most = 0;
};
Summary Summarize(const std::vector<double>& values);

// The same numbers, each with its seed. Seeds of one setting differ.
struct Seeds {
  std::vector<double> values;
  std::vector<int64_t> seeds;  // of each value; empty: nobody knows them

  void Add(double value, int64_t seed) {
    values.push_back(value);
    seeds.push_back(seed);
  }
  bool empty() const { return values.empty(); }
  size_t size() const { return values.size(); }
};
inline Summary Summarize(const Seeds& seeds) { return Summarize(seeds.values); }

struct Interval {
  double low = 0;
  double high = 0;
};

// The t that |T| exceeds with probability `outside`, for `freedom` > 0 degrees of freedom: 12.706 for 0.05 and 1.
double StudentQuantile(double outside, double freedom);

// Of the mean of what `values` are a sample of; covers it with probability 1 - `outside`. Nothing for fewer than two.
// `resolution`: values are known up to so much, as steps are that are looked at every so often; each then lies anywhere
// within it, with a variance of a twelfth of its square, so that equal values are not taken for certainty.
std::optional<Interval> MeanInterval(const std::vector<double>& values, double outside, double resolution = 0);

// The same of (mean of `a`) - (mean of `b`): of the mean of the differences where both have the same seeds, in whatever
// order; else by Welch, whose two samples may spread differently. Nothing where either has fewer than two.
std::optional<Interval> DifferenceInterval(const Seeds& a, const Seeds& b, double outside, double resolution = 0);

}  // namespace sink::report
