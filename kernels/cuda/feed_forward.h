// The nonlinearities of feed-forward blocks on CUDA; kernels/feed_forward.h has the formulas. Launchers: device
// pointers, dense and row-major; T is float or Bfloat16, arithmetic in float; the call returns when the work is queued
// on `stream` (a cudaStream_t); std::invalid_argument on other shapes, std::runtime_error where CUDA refuses. Any
// thread that owns the stream.
#pragma once

#include <cstdint>

#include "kernels/cuda/types.h"
#include "kernels/feed_forward.h"

namespace sink::kernels::cuda {

// y = act(gate) * up; a row of gate_up_R2F is gate_F, then up_F.
template <typename T>
void GatedForward(void* stream, Activation activation, const T* gate_up_R2F, int64_t rows, int64_t width, T* y_RF);

// dgate_up_R2F may be gate_up_R2F.
template <typename T>
void GatedBackward(void* stream, Activation activation, const T* dy_RF, const T* gate_up_R2F, int64_t rows,
                   int64_t width, T* dgate_up_R2F);

// y = act(x); y_RF may be x_RF.
template <typename T>
void ActivationForward(void* stream, Activation activation, const T* x_RF, int64_t rows, int64_t width, T* y_RF);

// dx = dy * act'(x); dx_RF may be dy_RF or x_RF.
template <typename T>
void ActivationBackward(void* stream, Activation activation, const T* dy_RF, const T* x_RF, int64_t rows, int64_t width,
                        T* dx_RF);

}  // namespace sink::kernels::cuda
