// RMSNorm on CUDA, with the residual sum before it: s = x + residual, y = s / sqrt(mean(s^2) + epsilon) * weight, over
// rows of C values. Launchers: pointers to device memory, dense and row-major; T is float or Bfloat16, arithmetic in
// float; the call returns when the work is queued on `stream` (a cudaStream_t); std::invalid_argument on other shapes,
// std::runtime_error where CUDA refuses. Results are the same to the bit from run to run and device to device. Any
// thread that owns the stream. Fastest where C is a multiple of 16 bytes and at most 512 of those.
#pragma once

#include <cstdint>

#include "kernels/cuda/types.h"

namespace sink::kernels::cuda {

// residual_RC may be null: s = x, and sum_RC is not written (it may be null). Else s is rounded to T and written to
// sum_RC, which may be x_RC or residual_RC. inverse_rms_R = 1 / sqrt(mean(s^2) + epsilon). y_RC may be x_RC.
template <typename T>
void RmsNormForward(void* stream, const T* x_RC, const T* residual_RC, const float* weight_C, float epsilon,
                    int64_t rows, int64_t columns, T* sum_RC, T* y_RC, float* inverse_rms_R);

// Floats that RmsNormBackward needs to work in.
int64_t RmsNormWorkspace(int64_t rows, int64_t columns);

// With g = dy * weight and n = s * inverse_rms: ds = inverse_rms * (g - n * mean(g * n)) + dsum, where dsum_RC, which
// may be null, is what comes to s by another way; ds is the gradient of x and of the residual alike. dweight_C += sum
// over the rows of dy * n. ds_RC may be dy_RC or dsum_RC.
template <typename T>
void RmsNormBackward(void* stream, const T* dy_RC, const T* dsum_RC, const T* s_RC, const float* weight_C,
                     const float* inverse_rms_R, int64_t rows, int64_t columns, T* ds_RC, float* dweight_C,
                     float* workspace);

}  // namespace sink::kernels::cuda
