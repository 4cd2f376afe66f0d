// The optimizer's step on CUDA over flat buffers: the global norm of the gradient, its clipping factor, and AdamW,
// which also writes the bf16 copy of the values; formulas as kernels/adamw.h. Launchers: device pointers to dense
// floats; the call returns when the work is queued on `stream` (a cudaStream_t) and nothing is read back;
// std::invalid_argument on other shapes, std::runtime_error where CUDA refuses. The same bits from run to run and
// device to device. Any thread that owns the stream.
#pragma once

#include <cstdint>

#include "kernels/adamw.h"
#include "kernels/cuda/types.h"

namespace sink::kernels::cuda {

// Doubles that SumOfSquares needs to work in.
inline constexpr int64_t kSumOfSquaresWorkspace = 512;

// *sum = sum of squares of count values, accumulated in double in a fixed order.
void SumOfSquares(void* stream, const float* x, int64_t count, double* workspace, double* sum);

// From a sum of squares on the device: *norm = sqrt(*sum) and *scale = max_norm / (norm + 1e-6) where max_norm > 0 and
// norm > max_norm, else 1. A norm that is not finite gives that norm and scale 0: the step then leaves no trace of the
// gradient but in what the caller sees.
void ClippingScale(void* stream, const double* sum, double max_norm, double* norm, float* scale);

// As kernels::AdamW with the gradient multiplied by *gradient_scale too, which may be null: 1. Where it is 0 nothing is
// changed. copy may be null: else it gets the new values as bf16.
void AdamW(void* stream, const AdamWStep& step, int64_t count, const float* gradient, const float* gradient_scale,
           float* value, float* first_moment, float* second_moment, Bfloat16* copy);

}  // namespace sink::kernels::cuda
