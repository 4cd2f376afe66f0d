// Bias and nonlinearity on a CPU: a template over the nonlinearity, inlined into one multiversioned function that
// chooses once, outside the loops.
#include "kernels/bias_activation.h"

#include "kernels/multiversion.h"
#include "kernels/vector_math.h"

namespace sink::kernels {
namespace {

struct Silu {
  SINK_INLINE static float Value(float x) { return x * Sigmoid(x); }
};

struct Gelu {
  SINK_INLINE static float Value(float x) { return x * StandardNormal(x).cumulative; }
};

struct GeluTanh {
  SINK_INLINE static float Value(float x) {
    constexpr float kTwice = 1.59576912f;  // 2 sqrt(2 / pi)
    return x * Sigmoid(kTwice * (x + 0.044715f * x * x * x));
  }
};

struct Relu {
  SINK_INLINE static float Value(float x) { return x <= 0 ? 0 : x; }  // NaN passes
};

template <typename Act>
SINK_INLINE void Rows(const float* __restrict bias, int64_t rows, int64_t width, float* __restrict x_RF) {
  for (int64_t row = 0; row < rows; ++row) {
    float* x = x_RF + row * width;
    if (bias == nullptr)
      for (int64_t f = 0; f < width; ++f) x[f] = Act::Value(x[f]);
    else
      for (int64_t f = 0; f < width; ++f) x[f] = Act::Value(x[f] + bias[f]);
  }
}

}  // namespace

SINK_MULTIVERSION void AddBiasAndActivate(BiasActivation activation, const float* bias, int64_t rows, int64_t width,
                                          float* x) {
  switch (activation) {
    case BiasActivation::kSilu:
      return Rows<Silu>(bias, rows, width, x);
    case BiasActivation::kGelu:
      return Rows<Gelu>(bias, rows, width, x);
    case BiasActivation::kGeluTanh:
      return Rows<GeluTanh>(bias, rows, width, x);
    case BiasActivation::kRelu:
      return Rows<Relu>(bias, rows, width, x);
  }
}

}  // namespace sink::kernels
