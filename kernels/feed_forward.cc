// Feed-forward nonlinearities on a CPU. Activations are computed anew in the backward pass, which is cheaper than
// reading them from memory. Each loop is a template over the activation, inlined into a multiversioned function that
// chooses among them once, outside the loop.
#include "kernels/feed_forward.h"

#include "kernels/multiversion.h"
#include "kernels/vector_math.h"

namespace sink::kernels {
namespace {

struct Dual {
  float value, slope;
};

struct Silu {
  SINK_INLINE static float Value(float x) { return x * Sigmoid(x); }
  SINK_INLINE static Dual WithSlope(float x) {
    const float sigmoid = Sigmoid(x), silu = x * sigmoid;
    return {silu, sigmoid + silu * (1.0f - sigmoid)};
  }
};

struct Gelu {
  SINK_INLINE static float Value(float x) { return x * StandardNormal(x).cumulative; }
  SINK_INLINE static Dual WithSlope(float x) {
    const Normal normal = StandardNormal(x);
    return {x * normal.cumulative, normal.cumulative + x * normal.density};
  }
};

// The comparisons are such that NaN passes.
struct Relu {
  SINK_INLINE static float Value(float x) { return x <= 0 ? 0 : x; }
  SINK_INLINE static Dual WithSlope(float x) { return {Value(x), x <= 0 ? 0.0f : 1.0f}; }
};

template <typename Act>
SINK_INLINE void GatedForwardRows(const float* gate_up_R2F, int64_t rows, int64_t width, float* __restrict y_RF) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* gate = gate_up_R2F + row * 2 * width;
    const float* up = gate + width;
    float* __restrict y = y_RF + row * width;
    for (int64_t f = 0; f < width; ++f) y[f] = Act::Value(gate[f]) * up[f];
  }
}

template <typename Act>
SINK_INLINE void GatedBackwardRows(const float* dy_RF, const float* gate_up_R2F, int64_t rows, int64_t width,
                                   float* __restrict dgate_up_R2F) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* gate = gate_up_R2F + row * 2 * width;
    const float* up = gate + width;
    const float* dy = dy_RF + row * width;
    float* __restrict dgate = dgate_up_R2F + row * 2 * width;
    float* __restrict dup = dgate + width;
#pragma GCC ivdep
    for (int64_t f = 0; f < width; ++f) {
      const Dual act = Act::WithSlope(gate[f]);
      dgate[f] = dy[f] * up[f] * act.slope;
      dup[f] = dy[f] * act.value;
    }
  }
}

// Row by row although the rows are dense: what is left over after the vectors may round differently (for GELU it does:
// the compiler reassociates as it likes), so it must lie in the same places however the rows are divided.
template <typename Act>
SINK_INLINE void ForwardRows(const float* x_RF, int64_t rows, int64_t width, float* __restrict y_RF) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* x = x_RF + row * width;
    float* __restrict y = y_RF + row * width;
    for (int64_t f = 0; f < width; ++f) y[f] = Act::Value(x[f]);
  }
}

template <typename Act>
SINK_INLINE void BackwardRows(const float* dy_RF, const float* x_RF, int64_t rows, int64_t width,
                              float* __restrict dx_RF) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* dy = dy_RF + row * width;
    const float* x = x_RF + row * width;
    float* __restrict dx = dx_RF + row * width;
    for (int64_t f = 0; f < width; ++f) dx[f] = dy[f] * Act::WithSlope(x[f]).slope;
  }
}

}  // namespace

SINK_MULTIVERSION void GatedForward(Activation activation, const float* gate_up_R2F, int64_t rows, int64_t width,
                                    float* y_RF) {
  switch (activation) {
    case Activation::kSilu:
      return GatedForwardRows<Silu>(gate_up_R2F, rows, width, y_RF);
    case Activation::kGelu:
      return GatedForwardRows<Gelu>(gate_up_R2F, rows, width, y_RF);
    case Activation::kRelu:
      return GatedForwardRows<Relu>(gate_up_R2F, rows, width, y_RF);
  }
}

SINK_MULTIVERSION void GatedBackward(Activation activation, const float* dy_RF, const float* gate_up_R2F, int64_t rows,
                                     int64_t width, float* dgate_up_R2F) {
  switch (activation) {
    case Activation::kSilu:
      return GatedBackwardRows<Silu>(dy_RF, gate_up_R2F, rows, width, dgate_up_R2F);
    case Activation::kGelu:
      return GatedBackwardRows<Gelu>(dy_RF, gate_up_R2F, rows, width, dgate_up_R2F);
    case Activation::kRelu:
      return GatedBackwardRows<Relu>(dy_RF, gate_up_R2F, rows, width, dgate_up_R2F);
  }
}

SINK_MULTIVERSION void ActivationForward(Activation activation, const float* x_RF, int64_t rows, int64_t width,
                                         float* y_RF) {
  switch (activation) {
    case Activation::kSilu:
      return ForwardRows<Silu>(x_RF, rows, width, y_RF);
    case Activation::kGelu:
      return ForwardRows<Gelu>(x_RF, rows, width, y_RF);
    case Activation::kRelu:
      return ForwardRows<Relu>(x_RF, rows, width, y_RF);
  }
}

SINK_MULTIVERSION void ActivationBackward(Activation activation, const float* dy_RF, const float* x_RF, int64_t rows,
                                          int64_t width, float* dx_RF) {
  switch (activation) {
    case Activation::kSilu:
      return BackwardRows<Silu>(dy_RF, x_RF, rows, width, dx_RF);
    case Activation::kGelu:
      return BackwardRows<Gelu>(dy_RF, x_RF, rows, width, dx_RF);
    case Activation::kRelu:
      return BackwardRows<Relu>(dy_RF, x_RF, rows, width, dx_RF);
  }
}

}  // namespace sink::kernels
