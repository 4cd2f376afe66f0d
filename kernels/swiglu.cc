// SwiGLU on a CPU; the sigmoid is computed anew in the backward pass, which is cheaper than reading it from memory.
#include "kernels/swiglu.h"

#include "kernels/multiversion.h"
#include "kernels/vector_math.h"

namespace sink::kernels {

SINK_MULTIVERSION void SwiGluForward(const float* gate_up_R2F, int64_t rows, int64_t width, float* __restrict y_RF) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* gate = gate_up_R2F + row * 2 * width;
    const float* up = gate + width;
    float* __restrict y = y_RF + row * width;
    for (int64_t f = 0; f < width; ++f) y[f] = gate[f] * Sigmoid(gate[f]) * up[f];
  }
}

SINK_MULTIVERSION void SwiGluBackward(const float* dy_RF, const float* gate_up_R2F, int64_t rows, int64_t width,
                                      float* __restrict dgate_up_R2F) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* gate = gate_up_R2F + row * 2 * width;
    const float* up = gate + width;
    const float* dy = dy_RF + row * width;
    float* __restrict dgate = dgate_up_R2F + row * 2 * width;
    float* __restrict dup = dgate + width;
#pragma GCC ivdep
    for (int64_t f = 0; f < width; ++f) {
      const float sigmoid = Sigmoid(gate[f]);
      const float silu = gate[f] * sigmoid;
      dgate[f] = dy[f] * up[f] * (sigmoid + silu * (1.0f - sigmoid));
      dup[f] = dy[f] * silu;
    }
  }
}

}  // namespace sink::kernels
