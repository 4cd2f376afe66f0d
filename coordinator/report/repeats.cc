// See repeats.h.
#include "coordinator/report/repeats.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "coordinator/report/measures.h"
#include "coordinator/report/places.h"

namespace sink::report {
namespace {

constexpr double kRounding = 1e-3;       // of a value
constexpr size_t kLeastCommonSteps = 3;  // all runs of a seed and a shape begin alike

bool AreOneValue(double a, double b) { return std::fabs(a - b) <= kRounding * std::max(std::fabs(a), std::fabs(b)); }

// Whether two curves are one where they have the same steps; nothing can be told of too few of these.
bool AreOneCurve(const Curve& a, const Curve& b) {
  size_t common = 0;
  for (auto of_a = a.begin(), of_b = b.begin(); of_a != a.end() && of_b != b.end();) {
    if (of_a->step != of_b->step) {
      ++(of_a->step < of_b->step ? of_a : of_b);
      continue;
    }
    if (!AreOneValue(of_a->value, of_b->value)) return false;
    ++common;
    ++of_a;
    ++of_b;
  }
  return common >= kLeastCommonSteps;
}

bool MeasuredTheSame(const Run& a, const Run& b) {
  for (const Measure measure : {Measure::kAlphaMax, Measure::kSinkRate, Measure::kValidationLoss}) {
    const auto of_a = a.curves.find(MetricName(a, measure, "1")), of_b = b.curves.find(MetricName(b, measure, "1"));
    if (of_a == a.curves.end() || of_b == b.curves.end() || !AreOneCurve(of_a->second, of_b->second)) return false;
  }
  return true;
}

}  // namespace

bool AreOneTraining(const Run& a, const Run& b) {
  const Json& seed = Setting(a, "train.seed");
  if (seed.is_null() || seed != Setting(b, "train.seed")) return false;
  if (MeasuredTheSame(a, b)) return true;
  const std::vector<std::string> differ = DifferingKeys(a, b);
  const bool windows_alone = differ.size() == 1 && differ.front() == kWindow;
  return differ.empty() || (windows_alone && SeesEverything(a) && SeesEverything(b));
}

}  // namespace sink::report
