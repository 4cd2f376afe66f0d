// The passes of attention's backward: what they read besides the merged rows; the two that every gradient needs, a file
// each, since their many forms take the compiler minutes; the third, which only a bias that is learned needs; and the
// sums that a column needs. Device code on the names of device.h; for attention_backward*.cu, attention_bias.cu and
// attention_column.cu alone.
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

inline constexpr int kPassWarps = 4, kPassRows = 16 * kPassWarps;  // rows that a block owns

// Rows of the other side that are seen at a time, in one of two buffers while the next are copied to the other.
template <typename T, int kDims>
struct PassShape {
  static constexpr int kN = sizeof(T) != 2 ? 4 : kDims <= 64 ? 8 : kDims <= 96 ? 6 : 4;
  static constexpr int kRows = 8 * kN, kD8 = kDims / 8;
  static constexpr int kStride = Tile<T, kDims>::kStride;
  static constexpr size_t kTileBytes = Tile<T, kDims>::Bytes(2 * kPassRows + 4 * kRows);
  static constexpr size_t kStateBytes = 2 * kRows * sizeof(RowState);  // the second pass's alone
};

// The first: a block owns a tile of queries and adds up dq, and what goes through the column, into `partial`; it also
// writes dot_BHT. Host code.
template <typename T>
void QueryPass(void* stream, const Layer<T>& layer, const AttentionShape& shape, const BackwardInputs<T>& inputs,
               T* dqkv_NW, float* partial);
// The second, which reads dot_BHT: a block owns a tile of keys of one key/value head and adds up dk and dv. Host code.
template <typename T>
void KeyPass(void* stream, const Layer<T>& layer, const AttentionShape& shape, const BackwardInputs<T>& inputs,
             T* dqkv_NW);

// Rows of queries whose share of the column's gradients one block adds up: D for the key, D for the value, 1 for the
// logit, of each head, sequence and block, in that order (AttentionColumnWorkspace floats). SumColumnPartials adds
// those up. Host code.
inline constexpr int kColumnRows = kPassRows;
void SumColumnPartials(void* stream, const AttentionShape& shape, const float* partial,
                       const AttentionTermGradients& gradients);

// dbias_HS is written whole; workspace has the floats that OffsetBiasWorkspace says. Host code.
int64_t OffsetBiasWorkspace(const AttentionShape& shape);
template <typename T>
void OffsetBiasGradient(void* stream, const Layer<T>& layer, const AttentionShape& shape,
                        const BackwardInputs<T>& inputs, float* dbias_HS, float* workspace);

}  // namespace sink::kernels::cuda
