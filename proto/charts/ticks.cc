// Round numbers for axes; see svg.h.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "proto/charts/svg.h"

namespace sink::charts {

std::vector<double> NiceTicks(double least, double most, int count) {
  if (!(most > least)) {
    const double half = least == 0 ? 1 : std::fabs(least) / 2;
    least -= least == 0 ? 0 : half;
    most += half;
  }
  const double rough = (most - least) / std::max(count - 1, 1);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (double factor : {1.0, 2.0, 2.5, 5.0})
    if (factor * power >= rough * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  std::vector<double> ticks;
  const double first = std::floor(least / step + 1e-9), last = std::ceil(most / step - 1e-9);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string TickText(double value, double step) {
  char text[32];
  const double size = std::fabs(value);
  if (size < step * 1e-6) return "0";
  if (size >= 1e6 && step >= 1e4) {
    std::snprintf(text, sizeof text, "%gM", value / 1e6);
  } else if (size >= 1000 && step >= 10) {
    std::snprintf(text, sizeof text, "%gk", value / 1e3);
  } else if (step < 1e-5) {
    std::snprintf(text, sizeof text, "%.3g", value);
  } else {
    int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
    const double scaled = step * std::pow(10, decimals);
    if (std::fabs(scaled - std::round(scaled)) > 1e-6) ++decimals;  // 2.5, 0.25
    std::snprintf(text, sizeof text, "%.*f", decimals, value);
  }
  return text;
}

}  // namespace sink::charts
