// Cross-entropy on a CPU: maximum, exponentials with their sum, scaling; a row stays in cache between the passes.
#include "kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "kernels/multiversion.h"
#include "kernels/vector_math.h"

namespace sink::kernels {

SINK_MULTIVERSION void CrossEntropyForward(const float* logits_RV, const int64_t* target_R, int64_t rows,
                                           int64_t vocabulary, float* loss_R) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* logits = logits_RV + row * vocabulary;
    const float largest = Max(logits, vocabulary);
    float sum = 0;
    for (int64_t v = 0; v < vocabulary; ++v) sum += Exp(logits[v] - largest);
    loss_R[row] = std::log(sum) + largest - logits[target_R[row]];
  }
}

SINK_MULTIVERSION void AddToLogSum(const float* logits_RV, int64_t rows, int64_t vocabulary, float* log_sum_R) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* logits = logits_RV + row * vocabulary;
    const float largest = std::max(log_sum_R[row], Max(logits, vocabulary));
    float sum = std::exp(log_sum_R[row] - largest);
    for (int64_t v = 0; v < vocabulary; ++v) sum += Exp(logits[v] - largest);
    log_sum_R[row] = largest + std::log(sum);
  }
}

SINK_MULTIVERSION void CrossEntropyForwardBackward(float* logits_RV, const int64_t* target_R, int64_t rows,
                                                   int64_t vocabulary, float scale, float* loss_R) {
  for (int64_t row = 0; row < rows; ++row) {
    float* logits = logits_RV + row * vocabulary;
    const float largest = Max(logits, vocabulary);
    const float at_target = logits[target_R[row]];
    float sum = 0;
    for (int64_t v = 0; v < vocabulary; ++v) {
      const float exponential = Exp(logits[v] - largest);
      logits[v] = exponential;
      sum += exponential;
    }
    const float factor = scale / sum;
    for (int64_t v = 0; v < vocabulary; ++v) logits[v] *= factor;
    logits[target_R[row]] -= scale;
    loss_R[row] = std::log(sum) + largest - at_target;
  }
}

}  // namespace sink::kernels
