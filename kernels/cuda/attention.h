// Attention of one layer on CUDA, on the merged rows of queries, keys and values, in tiles: no T x T array exists. The
// kinds of weights and what each query sees are those of kernels/attention_weights.h and model/network/attention.h,
// for every query i and key j of head h with score s = q . k / sqrt(D) + bias[h][j - i + T - 1].
// Launchers: device pointers, dense and row-major; T is float (products and all else in float) or Bfloat16 (products of
// bf16 that add up in float, on tensor cores; weights are rounded to bf16 before they multiply values); the call
// returns when the work is queued on `stream` (a cudaStream_t); std::invalid_argument on other shapes,
// std::runtime_error where CUDA refuses. No atomics: the same bits from run to run and device to device. Any thread
// that owns the stream.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention_weights.h"
#include "kernels/cuda/types.h"

namespace sink::kernels::cuda {

inline constexpr int64_t kMaxHeadDim = 128;

// A merged row is the queries of `heads`, then keys, then values of `key_value_heads`; query head h reads key/value
// head h / (heads / key_value_heads). Outputs are [batch * length, heads * head_dim].
struct AttentionShape {
  int64_t batch = 0, length = 0, heads = 0, key_value_heads = 0, head_dim = 0;

  int64_t width() const { return (heads + 2 * key_value_heads) * head_dim; }
};
// Whether the launchers take a shape.
constexpr bool IsSupported(const AttentionShape& s) {
  return s.batch >= 1 && s.batch <= 65535 && s.length >= 1 && s.length <= 1 << 20 && s.heads >= 1 && s.heads <= 65535 &&
         s.key_value_heads >= 1 && s.heads % s.key_value_heads == 0 && s.head_dim >= 1 && s.head_dim <= kMaxHeadDim;
}

// The most shared memory that a block of these launchers takes for such heads, in bytes. Devices of one architecture
// differ in what they have: 163 KiB in compute capability 8.0, 227 in 9.0 and 10.0, 99 in 8.6, 8.9 and 12.0.
template <typename T>
size_t AttentionSharedBytes(int64_t head_dim);

// Query i sees keys [0, prefix) and i-w+1 .. i (w = window; 0: 0 .. i).
struct AttentionRule {
  WeightRule weights;
  int64_t prefix = 0, window = 0;
};

// Null: left out. A column (one more key that every query sees; only softmax has one) exists where column_key_HD or
// column_logit_H does: its score is q . k* / sqrt(D) + logit, its value column_value_HD or 0.
struct AttentionTerms {
  const float* offset_bias_HS = nullptr;  // S = 2T - 1
  const float* column_key_HD = nullptr;
  const float* column_value_HD = nullptr;
  const float* column_logit_H = nullptr;

  bool HasColumn() const { return column_key_HD || column_logit_H; }
};

// Weights times values. row_BHT is what the other functions need: log z of softmax (column included) and softpick, the
// sum of weights of the others.
template <typename T>
void AttentionForward(void* stream, const T* qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                      const AttentionTerms& terms, T* output_NC, float* row_BHT);

// Gradients of the terms, written where not null; null where the term is. The offset bias's costs a pass of its own,
// which a bias that is not learned need not pay.
struct AttentionTermGradients {
  float* offset_bias_HS = nullptr;
  float* column_key_HD = nullptr;
  float* column_value_HD = nullptr;
  float* column_logit_H = nullptr;
};

// Floats that AttentionBackward needs to work in.
int64_t AttentionWorkspace(const AttentionShape& shape, const AttentionTerms& terms, bool offset_bias_gradient);

// dqkv_NW is written whole. output_NC and row_BHT are those of the forward pass.
template <typename T>
void AttentionBackward(void* stream, const T* gradient_NC, const T* qkv_NW, const T* output_NC, const float* row_BHT,
                       const AttentionShape& shape, const AttentionRule& rule, const AttentionTerms& terms, T* dqkv_NW,
                       const AttentionTermGradients& gradients, float* workspace);

// The column alone, for softmax attention that a library has computed without it, in output and log z of each row: both
// then are as AttentionForward's.
template <typename T>
void AttentionAddColumn(void* stream, const T* qkv_NW, const AttentionShape& shape, const AttentionTerms& terms,
                        T* output_NC, float* row_BHT);
// Adds the column's part to the queries' gradient, once the library has made dqkv_NW from the output and log z with the
// column, and writes the column's gradients. workspace: AttentionColumnWorkspace floats.
int64_t AttentionColumnWorkspace(const AttentionShape& shape);
template <typename T>
void AttentionTakeColumn(void* stream, const T* gradient_NC, const T* qkv_NW, const T* output_NC, const float* row_BHT,
                         const AttentionShape& shape, const AttentionTerms& terms, T* dqkv_NW,
                         const AttentionTermGradients& gradients, float* workspace);

// What each key gets: sums_BHT[b][h][j] = sum over the queries of the weight of key j, and column_BH, which may be
// null, the column's. row_BHT is that of the forward pass.
template <typename T>
void AttentionColumnSums(void* stream, const T* qkv_NW, const float* row_BHT, const AttentionShape& shape,
                         const AttentionRule& rule, const AttentionTerms& terms, float* sums_BHT, float* column_BH);

}  // namespace sink::kernels::cuda
