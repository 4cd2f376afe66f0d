// RMSNorm (Zhang and Sennrich 2019), y = x / sqrt(mean(x^2) + epsilon) * weight, over rows of C values.
// All pointers are dense, row-major floats in the memory of `place`; rows may be 0, C >= 1. std::invalid_argument on
// other shapes, null pointers or a place this build lacks. Functions keep no state: any thread, and on a CPU the caller
// divides the rows among threads. CPU results depend on neither the division nor the machine's load.
#pragma once

#include <cstdint>

#include "kernels/place.h"

namespace sink::kernels {

// y_RC and inverse_rms_R = 1 / sqrt(mean(x^2) + epsilon), which the backward pass needs. y may be x.
void RmsNormForward(const Place& place, const float* x_RC, const float* weight_C, float epsilon, int64_t rows,
                    int64_t columns, float* y_RC, float* inverse_rms_R);

// With g = dy * weight and n = x * inverse_rms: dx = inverse_rms * (g - n * mean(g * n)), written to dx_RC (which may
// be dy_RC); dweight_C += sum over the rows of dy * n. Rows are summed in order, so partial sums of fixed row ranges,
// added in order, do not depend on which thread made which.
void RmsNormBackward(const Place& place, const float* dy_RC, const float* x_RC, const float* weight_C,
                     const float* inverse_rms_R, int64_t rows, int64_t columns, float* dx_RC, float* dweight_C);

// The bodies, one a device; call the functions above instead.
namespace cpu {
void RmsNormForward(const float* x_RC, const float* weight_C, float epsilon, int64_t rows, int64_t columns, float* y_RC,
                    float* inverse_rms_R);
void RmsNormBackward(const float* dy_RC, const float* x_RC, const float* weight_C, const float* inverse_rms_R,
                     int64_t rows, int64_t columns, float* dx_RC, float* dweight_C);
}  // namespace cpu
namespace cuda {
void RmsNormForward(void* stream, const float* x_RC, const float* weight_C, float epsilon, int64_t rows,
                    int64_t columns, float* y_RC, float* inverse_rms_R);
void RmsNormBackward(void* stream, const float* dy_RC, const float* x_RC, const float* weight_C,
                     const float* inverse_rms_R, int64_t rows, int64_t columns, float* dx_RC, float* dweight_C);
}  // namespace cuda

}  // namespace sink::kernels
