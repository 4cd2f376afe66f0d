// Attention of one head that fits a core's cache, forward and backward: causal softmax, which is what the study's
// recipes run, of heads a few values wide. Products, weights and gradients of sixteen queries at a time, a query a
// lane: their scores lie side by side for each key, so that no row is ever reduced across lanes and none has a tail.
// Other kinds of attention go through kernels/attention_weights.h. CPU, dense floats. No state: any thread. The same
// bits in every call on one kind of processor.
#pragma once

#include <cstdint>

namespace sink::kernels {

// Merged rows of a sequence: the head's T queries, and the keys and values that it reads, each D values, `row` from one
// token to the next. D is a multiple of 4.
struct CausalHead {
  const float *query_TD, *key_TD, *value_TD;
  int64_t row, length, dim;
};

// Where the gradients go, `row` from one token to the next. Of heads that share keys and values the first one writes
// and the others add.
struct CausalHeadGradients {
  float *query_TD, *key_TD, *value_TD;
  int64_t row;
  bool add;
};

// Floats that the functions below compute in, and floats of a head's weights, half a square of the length.
int64_t CausalHeadScratch(int64_t length, int64_t dim);
int64_t CausalHeadWeights(int64_t length);

// output[i] = sum over j <= i of w[i, j] value[j], w = softmax of query[i] . key[j] / sqrt(D), `output_row` from one
// token to the next; log_sum[i] is the logarithm of the softmax's denominator. Leaves the weights where `weights` is
// not null.
void CausalHeadForward(const CausalHead& head, float* scratch, float* output_TD, int64_t output_row, float* log_sum_T,
                       float* weights);

// From the output's gradient to those of queries, keys and values. Output and gradient lie as the forward pass wrote
// the former; `weights` are what it left, or null, and then they are made anew.
void CausalHeadBackward(const CausalHead& head, const float* output_TD, const float* output_gradient_TD,
                        int64_t output_row, const float* log_sum_T, const float* weights, float* scratch,
                        const CausalHeadGradients& out);

}  // namespace sink::kernels
