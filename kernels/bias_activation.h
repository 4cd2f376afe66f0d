// Bias and nonlinearity of a feed-forward block in one pass over the projection's rows: x = act(x + bias), in place.
// Forward only, for models that are measured and not trained (model/open). A null bias is 0. CPU, dense floats; NaN
// where x is. No state: any thread; the caller divides the rows among threads, which changes no result.
#pragma once

#include <cstdint>

namespace sink::kernels {

enum class BiasActivation {
  kSilu,      // x / (1 + e^-x)
  kGelu,      // x Phi(x), Phi the normal distribution   (Hendrycks and Gimpel 1606.08415)
  kGeluTanh,  // x (1 + tanh(u)) / 2 = x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3)   (the same paper)
  kRelu,      // max(x, 0)
};

void AddBiasAndActivate(BiasActivation activation, const float* bias_F, int64_t rows, int64_t width, float* x_RF);

}  // namespace sink::kernels
