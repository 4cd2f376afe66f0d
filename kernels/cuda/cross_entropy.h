// Cross-entropy of rows of logits against target ids on CUDA, with its gradient in the same pass and place; formulas as
// kernels/cross_entropy.h. Launchers: device pointers, dense and row-major; T is float or Bfloat16, sums in float; the
// call returns when the work is queued on `stream` (a cudaStream_t); std::invalid_argument on other shapes,
// std::runtime_error where CUDA refuses. The same bits from run to run and device to device. Any thread that owns the
// stream.
#pragma once

#include <cstdint>

#include "kernels/cuda/types.h"

namespace sink::kernels::cuda {

// loss_R = log(sum exp(logits)) - logits[target], from the logits as T holds them. NaN logits, and a target outside
// [0, V), give a NaN loss.
template <typename T>
void CrossEntropyForward(void* stream, const T* logits_RV, const int64_t* target_R, int64_t rows, int64_t vocabulary,
                         float* loss_R);

// The same loss; replaces the logits by scale * (softmax(logits) - one_hot(target)).
template <typename T>
void CrossEntropyForwardBackward(void* stream, T* logits_RV, const int64_t* target_R, int64_t rows, int64_t vocabulary,
                                 float scale, float* loss_R);

}  // namespace sink::kernels::cuda
