// Cross-entropy of rows of logits against target ids, and its gradient in the same sweep over the row. CPU, dense
// floats. No state: any thread; the caller divides the rows among threads, which changes no result.
#pragma once

#include <cstdint>

namespace sink::kernels {

// loss_R = log(sum exp(logits)) - logits[target]. NaN logits give a NaN loss. Targets must be in [0, V).
void CrossEntropyForward(const float* logits_RV, const int64_t* target_R, int64_t rows, int64_t vocabulary,
                         float* loss_R);

// For a vocabulary that is seen a part at a time: log_sum_R = log(exp(log_sum_R) + sum exp(logits)), -infinity at the
// first part.
void AddToLogSum(const float* logits_RV, int64_t rows, int64_t vocabulary, float* log_sum_R);

// The same loss; replaces the logits by scale * (softmax(logits) - one_hot(target)).
void CrossEntropyForwardBackward(float* logits_RV, const int64_t* target_R, int64_t rows, int64_t vocabulary,
                                 float scale, float* loss_R);

}  // namespace sink::kernels
