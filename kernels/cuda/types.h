// What launchers of CUDA kernels and their callers share: element types and the rule for sizes. Plain values; host and
// device code, with or without a CUDA compiler.
#pragma once

#include <cstdint>
#include <stdexcept>

namespace sink::kernels::cuda {

// The upper half of a float. The same bits as c10::BFloat16 and __nv_bfloat16.
struct Bfloat16 {
  uint16_t bits;
};

// Launchers throw std::invalid_argument through this before they queue anything.
inline void Require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

template <typename Integer>
constexpr Integer CeilDivide(Integer a, Integer b) {
  return (a + b - 1) / b;
}

// For parameters whose types another argument settles, so that numbers convert as in any call.
template <typename T>
struct AsGiven {
  using Type = T;
};

}  // namespace sink::kernels::cuda
