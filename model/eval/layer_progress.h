// A line on stderr that shows how far a pass over the layers of a large model is: only when stderr is a terminal that
// can redraw a line. It is green unless NO_COLOR is set (no-color.org). One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sink {

class LayerProgress {
 public:
  LayerProgress();
  ~LayerProgress();  // wipes the line
  LayerProgress(const LayerProgress&) = delete;
  LayerProgress& operator=(const LayerProgress&) = delete;

  void Update(int64_t done, int64_t all);

 private:
  const bool terminal_, color_;
  const std::chrono::steady_clock::time_point start_;
};

// "layer 3/32 [##        ] ETA 1:05"; the time left is what the layers so far took, for each of the others.
std::string LayerLine(int64_t done, int64_t all, double seconds, bool color);

}  // namespace sink
