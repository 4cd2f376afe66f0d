// RMSNorm (Zhang and Sennrich 2019), y = x / sqrt(mean(x^2) + epsilon) * weight, over rows of C values.
// CPU, dense row-major floats; rows may be 0, C >= 1. std::invalid_argument on other
// shapes or null pointers. No state: any thread; the caller divides the rows among threads, which changes no result.
#pragma once

#include <cstdint>

namespace sink::kernels {

// y_RC and inverse_rms_R = 1 / sqrt(mean(x^2) + epsilon), which the backward pass needs. y may be x.
void RmsNormForward(const float* x_RC, const float* weight_C, float epsilon, int64_t rows, int64_t columns, float* y_RC,
                    float* inverse_rms_R);

// The same of sum_RC = x + residual, which may be either of the two.
void AddRmsNormForward(const float* x_RC, const float* residual_RC, const float* weight_C, float epsilon, int64_t rows,
                       int64_t columns, float* sum_RC, float* y_RC, float* inverse_rms_R);

// With g = dy * weight and n = x * inverse_rms: dx = inverse_rms * (g - n * mean(g * n)), written to dx_RC (which may
// be dy_RC), with what comes to x by another way added where dother_RC is not null; dweight_C += sum over the rows of
// dy * n. Rows are summed in order, so partial sums of fixed row ranges, added in order, do not depend on which thread
// made which.
void RmsNormBackward(const float* dy_RC, const float* x_RC, const float* weight_C, const float* inverse_rms_R,
                     int64_t rows, int64_t columns, float* dx_RC, float* dweight_C, const float* dother_RC = nullptr);

}  // namespace sink::kernels
