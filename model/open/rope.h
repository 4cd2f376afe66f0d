// Rotary positions (Su et al. 2104.09864) with the scalings that config.json files ask for, as transformers 5 computes
// them: which frequencies the pairs of a head's dimensions turn with. Plain values and a pure function without Torch;
// any thread.
#pragma once

#include <cstdint>
#include <vector>

namespace sink {

enum class RopeScaling {
  kNone,
  kLinear,    // f / factor
  kDynamic,   // theta grows with the length of the sequence beyond max_positions (NTK)
  kLlama3,    // Grattafiori et al. 2407.21783
  kYarn,      // Peng et al. 2309.00071
  kLongRope,  // f / short_factors, or long_factors beyond original_positions (Ding et al. 2402.13753)
};

struct RopeConfig {
  int64_t dims = 0;  // the first of a head that are rotated
  double theta = 1e4;
  bool interleaved = false;  // in the files value 2i pairs with 2i + 1, not i with i + dims / 2
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1;
  double low = 1, high = 4;     // kLlama3's frequency factors; kYarn's turns, beta_slow and beta_fast
  bool truncate = true;         // kYarn's bounds are whole dimensions
  double attention_factor = 1;  // of cosines and sines
  int64_t original_positions = 0, max_positions = 0;
  std::vector<double> short_factors, long_factors;
};

// Angle of each pair for a step of one position, [dims / 2], in a sequence of this length.
std::vector<double> RopeFrequencies(const RopeConfig& rope, int64_t length);

}  // namespace sink
