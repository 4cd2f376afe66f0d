// The gated activation of LLaMA's feed-forward block (SwiGLU, Shazeer 2020): y = silu(gate) * up, silu(x) = x
// sigmoid(x). gate and up lie side by side, as the merged projection makes them: a row is gate_F, then up_F. CPU, dense
// floats. No state: any thread; the caller divides the rows among threads, which changes no result.
#pragma once

#include <cstdint>

namespace sink::kernels {

void SwiGluForward(const float* gate_up_R2F, int64_t rows, int64_t width, float* y_RF);

// dgate = dy * up * (s + gate * s * (1 - s)) with s = sigmoid(gate); dup = dy * gate * s.
void SwiGluBackward(const float* dy_RF, const float* gate_up_R2F, int64_t rows, int64_t width, float* dgate_up_R2F);

}  // namespace sink::kernels
