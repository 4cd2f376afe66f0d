// RMSNorm (kernels/rmsnorm.h has the formulas) on CUDA: dense row-major floats on the current device, rows >= 1. A call
// returns when the work is queued on `stream`, a cudaStream_t; std::runtime_error when it cannot be. Sums are made in a
// fixed order. For the library of CUDA kernels (model/backend/cuda) alone.
#pragma once

#include <cstdint>

namespace sink::kernels::cuda {

void RmsNormForward(void* stream, const float* x_RC, const float* weight_C, float epsilon, int64_t rows,
                    int64_t columns, float* y_RC, float* inverse_rms_R);

// dx_RC may be dy_RC.
void RmsNormBackward(void* stream, const float* dy_RC, const float* x_RC, const float* weight_C,
                     const float* inverse_rms_R, int64_t rows, int64_t columns, float* dx_RC, float* dweight_C);

}  // namespace sink::kernels::cuda
