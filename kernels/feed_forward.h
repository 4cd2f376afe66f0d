// The nonlinearities of feed-forward blocks. Gated: y = act(gate) * up, where gate and up lie side by side, as the
// merged projection makes them: a row is gate_F, then up_F. With SiLU this is SwiGLU, with GELU GEGLU, with ReLU ReGLU
// (Shazeer 2020, "GLU Variants Improve Transformer"). Ungated: y = act(x). CPU, dense floats; y is NaN where x is. No
// state: any thread; the caller divides the rows among threads, which changes no result.
#pragma once

#include <cstdint>

namespace sink::kernels {

enum class Activation {
  kSilu,  // x s(x), s(x) = 1 / (1 + e^-x) (also called Swish); derivative s + x s (1 - s)
  kGelu,  // x Phi(x), Phi the normal distribution (Hendrycks and Gimpel 2016, not tanh's form); derivative Phi + x phi
  kRelu,  // max(x, 0); derivative 1 for x > 0, 0 for x <= 0
};

void GatedForward(Activation activation, const float* gate_up_R2F, int64_t rows, int64_t width, float* y_RF);

// dgate = dy * up * act'(gate); dup = dy * act(gate).
void GatedBackward(Activation activation, const float* dy_RF, const float* gate_up_R2F, int64_t rows, int64_t width,
                   float* dgate_up_R2F);

void ActivationForward(Activation activation, const float* x_RF, int64_t rows, int64_t width, float* y_RF);

// dx = dy * act'(x).
void ActivationBackward(Activation activation, const float* dy_RF, const float* x_RF, int64_t rows, int64_t width,
                        float* dx_RF);

}  // namespace sink::kernels
