// From the scores of one query to its attention weights, and from their gradient to that of the scores: the part of
// attention in which the study's kinds differ. Everything else is matrix products, which the caller makes. CPU, dense
// floats. No state: any thread.
#pragma once

#include <cstdint>

namespace sink::kernels {

// How a score s becomes a weight w, before it is divided by the row's normaliser z:
//   softmax       exp(s), z = sum of w, with the column's exp where there is one
//   sigmoid       1 / (1 + exp(-s))
//   elu_plus_one  s + 1 for s > 0, else exp(s)
//   identity      s
//   softpick      max(exp(s) - 1, 0), z = sum of |exp(s) - 1| + 1e-6 exp(max s)   (Zuhri et al. 2025, arXiv 2504.20966)
enum class Similarity { kSoftmax, kSigmoid, kEluPlusOne, kIdentity, kSoftpick };

// z of sigmoid, elu_plus_one and identity (Gu et al., ICLR 2025, appendix): 1; sum of w + 1e-8; max(|sum of w|, 1).
enum class Normalizer { kNone, kSum, kSumOrOne };

struct WeightRule {
  Similarity similarity = Similarity::kSoftmax;
  Normalizer normalizer = Normalizer::kSum;
};

// The keys that a query may see, among those of a row: [0, prefix) and [first, last), prefix <= first <= last.
struct VisibleKeys {
  int64_t prefix = 0, first = 0, last = 0;
};

// Replaces the scores of a row of `count` keys by w / z; keys that are not visible get 0. Returns what the backward
// pass needs: log(z) for softmax, 0 for the others, which compute z anew. `column` is the score of one more key that
// every query sees (-infinity: none); only softmax has one, whose weight is exp(column - log z).
float AttentionWeights(const WeightRule& rule, const VisibleKeys& visible, int64_t count, float column, float* row);

// Replaces scores by weights as above, and the gradients of the weights by those of the scores. dot is the sum over all
// keys and the column of weight * gradient, which is output . d(output) for whoever multiplied the weights by values.
void AttentionWeightsBackward(const WeightRule& rule, const VisibleKeys& visible, int64_t count, float log_sum,
                              float dot, float* row, float* gradient);

// Sum of x * y.
float Dot(const float* x, const float* y, int64_t count);

// y += factor * x.
void AddScaled(float factor, const float* x, int64_t count, float* __restrict y);

}  // namespace sink::kernels
