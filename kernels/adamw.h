// One AdamW step (Loshchilov and Hutter 2019: decoupled decay) over a range of a parameter buffer, with the gradient's
// clipping factor applied on the way, so that each value is read and written once. CPU, dense floats. No state: any
// thread; the caller divides the range among threads, which changes no result.
#pragma once

#include <cstdint>

namespace sink::kernels {

struct AdamWStep {
  double learning_rate = 0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0;
  int64_t step = 1;           // counts from 1, for the bias corrections
  double gradient_scale = 1;  // the gradient is multiplied by this first: clipping
};

// With g = gradient * gradient_scale: value -= lr * decay * value; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
// value -= lr / (1 - b1^step) * m / (sqrt(v / (1 - b2^step)) + epsilon). The gradient is left as it is.
void AdamW(const AdamWStep& step, int64_t count, const float* gradient, float* value, float* first_moment,
           float* second_moment);

// Sum of squares of count values, accumulated in double: for the global gradient norm.
double SumOfSquares(const float* x, int64_t count);

}  // namespace sink::kernels
