// A metric of a job over its steps, as far as a line of text can show it. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sink::cli {

class Curve {
 public:
  // Points come by step; one of an earlier step is of a later attempt, and takes the place of what was there from that
  // step on.
  void Add(int64_t step, double value);

  bool empty() const { return points_.empty(); }
  int64_t last_step() const { return points_.empty() ? -1 : points_.back().first; }

  // The whole curve in `width` characters, from the least to the largest value that is shown; a space where a value is
  // no number or there is none. Empty for fewer than two points.
  std::string Sparkline(int width) const;

 private:
  static constexpr size_t kMaxPoints = 1024;  // then every other one goes

  std::vector<std::pair<int64_t, double>> points_;
};

}  // namespace sink::cli
