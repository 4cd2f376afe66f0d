// Feed-forward nonlinearities: a thread does kWidth neighbours of one row. Bound: memory; forward 2 values read and 1
// written an element with a gate (1 and 1 without), backward 3 read and 2 written (2 and 1).
#include <algorithm>
#include <cmath>

#include "kernels/cuda/feed_forward.h"
#include "kernels/cuda/values.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kThreads = 256;

struct Dual {
  float value, slope;
};

// As kernels/feed_forward.cc: comparisons let NaN pass, and the lower tail of GELU keeps its digits.
SINK_DEVICE Dual WithSlope(Activation activation, float x) {
  if (activation == Activation::kSilu) {
    const float sigmoid = 1.0f / (1.0f + expf(-x)), silu = x * sigmoid;
    return {silu, sigmoid + silu * (1.0f - sigmoid)};
  }
  if (activation == Activation::kGelu) {
    const float cumulative = 0.5f * erfcf(-0.707106781f * x);
    return {x * cumulative, cumulative + x * (0.398942280f * expf(-0.5f * x * x))};
  }
  return {x <= 0 ? 0.0f : x, x <= 0 ? 0.0f : 1.0f};
}

// Packs are numbered through all rows; pack p is at row p / packs_of_row.
template <typename T, int kWidth, bool kGated>
SINK_KERNEL(kThreads)
ForwardKernel(Activation activation, const T* x, int64_t packs, int64_t packs_of_row, T* y) {
  const int64_t pack = BlockX() * kThreads + Thread(), width = packs_of_row * kWidth;
  if (pack >= packs) return;
  const T* gate = x + pack * kWidth + (kGated ? pack / packs_of_row * width : 0);
  float g[kWidth], up[kWidth];
  Load(gate, g);
  if (kGated) Load(gate + width, up);
  SINK_UNROLL for (int i = 0; i < kWidth; ++i) {
    g[i] = WithSlope(activation, g[i]).value;
    if (kGated) g[i] *= up[i];
  }
  Store(g, y + pack * kWidth);
}

template <typename T, int kWidth, bool kGated>
SINK_KERNEL(kThreads)
BackwardKernel(Activation activation, const T* dy_RF, const T* x, int64_t packs, int64_t packs_of_row, T* dx) {
  const int64_t pack = BlockX() * kThreads + Thread(), width = packs_of_row * kWidth;
  if (pack >= packs) return;
  const int64_t at = pack * kWidth + (kGated ? pack / packs_of_row * width : 0);
  float g[kWidth], up[kWidth], dy[kWidth];
  Load(dy_RF + pack * kWidth, dy);
  Load(x + at, g);
  if (kGated) Load(x + at + width, up);
  SINK_UNROLL for (int i = 0; i < kWidth; ++i) {
    const Dual act = WithSlope(activation, g[i]);
    g[i] = dy[i] * act.slope;
    if (kGated) g[i] *= up[i];
    up[i] = dy[i] * act.value;
  }
  Store(g, dx + at);
  if (kGated) Store(up, dx + at + width);
}

void CheckShape(int64_t rows, int64_t width) {
  Require(rows >= 0 && width >= 1, "feed-forward: rows of 1 value or more");
}

template <bool kGated, typename T>
void Forward(void* stream, Activation activation, const T* x, int64_t rows, int64_t width, T* y) {
  CheckShape(rows, width);
  if (rows == 0) return;
  constexpr int kWidth = kVectorWidth<T>;
  const bool vectorised = IsVectorised(x, width) && IsVectorised(y, width);
  const int64_t of_row = vectorised ? width / kWidth : width;
  Launch("activation", vectorised ? &ForwardKernel<T, kWidth, kGated> : &ForwardKernel<T, 1, kGated>,
         Grid{CeilDivide<int64_t>(rows * of_row, kThreads)}, kThreads, 0, stream, activation, x, rows * of_row, of_row,
         y);
}

template <bool kGated, typename T>
void Backward(void* stream, Activation activation, const T* dy, const T* x, int64_t rows, int64_t width, T* dx) {
  CheckShape(rows, width);
  if (rows == 0) return;
  constexpr int kWidth = kVectorWidth<T>;
  const bool vectorised = IsVectorised(dy, width) && IsVectorised(x, width) && IsVectorised(dx, width);
  const int64_t of_row = vectorised ? width / kWidth : width;
  Launch("activation's gradient", vectorised ? &BackwardKernel<T, kWidth, kGated> : &BackwardKernel<T, 1, kGated>,
         Grid{CeilDivide<int64_t>(rows * of_row, kThreads)}, kThreads, 0, stream, activation, dy, x, rows * of_row,
         of_row, dx);
}

}  // namespace

template <typename T>
void GatedForward(void* stream, Activation activation, const T* gate_up_R2F, int64_t rows, int64_t width, T* y_RF) {
  Forward<true>(stream, activation, gate_up_R2F, rows, width, y_RF);
}

template <typename T>
void GatedBackward(void* stream, Activation activation, const T* dy_RF, const T* gate_up_R2F, int64_t rows,
                   int64_t width, T* dgate_up_R2F) {
  Backward<true>(stream, activation, dy_RF, gate_up_R2F, rows, width, dgate_up_R2F);
}

template <typename T>
void ActivationForward(void* stream, Activation activation, const T* x_RF, int64_t rows, int64_t width, T* y_RF) {
  Forward<false>(stream, activation, x_RF, rows, width, y_RF);
}

template <typename T>
void ActivationBackward(void* stream, Activation activation, const T* dy_RF, const T* x_RF, int64_t rows, int64_t width,
                        T* dx_RF) {
  Backward<false>(stream, activation, dy_RF, x_RF, rows, width, dx_RF);
}

#define SINK_INSTANTIATE(T)                                                                 \
  template void GatedForward(void*, Activation, const T*, int64_t, int64_t, T*);            \
  template void GatedBackward(void*, Activation, const T*, const T*, int64_t, int64_t, T*); \
  template void ActivationForward(void*, Activation, const T*, int64_t, int64_t, T*);       \
  template void ActivationBackward(void*, Activation, const T*, const T*, int64_t, int64_t, T*);
SINK_INSTANTIATE(float)
SINK_INSTANTIATE(Bfloat16)
#undef SINK_INSTANTIATE

}  // namespace sink::kernels::cuda
