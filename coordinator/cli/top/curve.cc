#include "coordinator/cli/top/curve.h"

#include <algorithm>
#include <cmath>

namespace sink::cli {
namespace {

constexpr const char* kBars[] = {"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
constexpr int kLevels = 8;

}  // namespace

void Curve::Add(int64_t step, double value) {
  while (!points_.empty() && points_.back().first >= step) points_.pop_back();
  points_.emplace_back(step, value);
  if (points_.size() < kMaxPoints) return;
  size_t kept = 0;
  for (size_t i = 1; i < points_.size(); i += 2) points_[kept++] = points_[i];  // the newest stays
  points_.resize(kept);
}

std::string Curve::Sparkline(int width) const {
  if (points_.size() < 2 || width < 1) return "";
  struct Bin {
    double sum = 0;
    int count = 0;
    bool gap = false;  // has a value that is no number
  };
  std::vector<Bin> bins(static_cast<size_t>(width));
  const double first = static_cast<double>(points_.front().first);
  const double range = static_cast<double>(points_.back().first) - first;
  for (const auto& [step, value] : points_) {
    const double place = (static_cast<double>(step) - first) / range * width;
    Bin& bin = bins[std::min(bins.size() - 1, static_cast<size_t>(place))];
    if (!std::isfinite(value)) {
      bin.gap = true;
      continue;
    }
    bin.sum += value;
    ++bin.count;
  }
  // Where points are fewer than characters, each stands until the next.
  std::vector<double> values;
  double least = INFINITY, most = -INFINITY;
  for (const Bin& bin : bins) {
    double value = bin.count > 0 ? bin.sum / bin.count : NAN;
    if (bin.count == 0 && !bin.gap && !values.empty()) value = values.back();
    values.push_back(value);
    if (std::isnan(value)) continue;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  std::string out;
  for (const double value : values) {
    if (std::isnan(value)) {
      out += ' ';
      continue;
    }
    const double height = most > least ? (value - least) / (most - least) : 0;
    out += kBars[std::min(kLevels - 1, static_cast<int>(height * kLevels))];
  }
  return out;
}

}  // namespace sink::cli
