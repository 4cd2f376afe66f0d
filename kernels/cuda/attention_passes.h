// What the passes of attention's backward share: what they read besides the merged rows; the third pass, which only a
// bias that is learned needs; and the sums that a column needs. Device code on the names of device.h; for
// attention_backward.cu, attention_bias.cu and attention_column.cu alone.
#pragma once

#include "kernels/cuda/attention_tiles.h"

namespace sink::kernels::cuda {

// Rows of the gradient and the output have `heads` heads and no keys.
template <typename T>
struct BackwardInputs {
  const T *gradient_NC, *output_NC;
  const float* row_BHT;
  float* dot_BHT;  // output . gradient of each row: the first pass writes it
};

template <typename T>
SINK_DEVICE int64_t OutputRow(const Layer<T>& layer, int64_t batch, int64_t position, int64_t head) {
  return ((batch * layer.length + position) * layer.heads + head) * layer.head_dim;
}

// Rows of queries whose share of the column's gradients one block adds up: D for the key, D for the value, 1 for the
// logit, of each head, sequence and block, in that order (AttentionColumnWorkspace floats). SumColumnPartials adds
// those up. Host code.
inline constexpr int kColumnRows = 64;
void SumColumnPartials(void* stream, const AttentionShape& shape, const float* partial,
                       const AttentionTermGradients& gradients);

// dbias_HS is written whole; workspace has the floats that OffsetBiasWorkspace says. Host code.
int64_t OffsetBiasWorkspace(const AttentionShape& shape);
template <typename T>
void OffsetBiasGradient(void* stream, const Layer<T>& layer, const AttentionShape& shape,
                        const BackwardInputs<T>& inputs, float* dbias_HS, float* workspace);

}  // namespace sink::kernels::cuda
