// Attention backward, in two passes (and a third for a learned bias: attention_bias.cu) that make scores anew, so that
// every sum has one owner and one order. The first (attention_backward_queries.cu) owns a tile of queries: dq, and what
// goes through the column; it also leaves dot = output . d(output) of each row to the second
// (attention_backward_keys.cu), which owns a tile of keys of one key/value head and adds up dk and dv over the group's
// query heads. Bound: products, 14 D floating-point operations for each pair that is seen (5 of the 7 products are
// needed by any way).
#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_passes.h"

namespace sink::kernels::cuda {
namespace {

int64_t DotFloats(const AttentionShape& s) { return CeilDivide<int64_t>(s.batch * s.heads * s.length, 4) * 4; }

}  // namespace

int64_t AttentionWorkspace(const AttentionShape& shape, const AttentionTerms& terms, bool bias_gradient) {
  return DotFloats(shape) + (terms.HasColumn() ? AttentionColumnWorkspace(shape) : 0) +
         (bias_gradient ? OffsetBiasWorkspace(shape) : 0);
}

// The second pass of backward has the largest blocks of all.
template <typename T>
size_t AttentionSharedBytes(int64_t head_dim) {
  size_t bytes = 0;
  WithDims<T>(head_dim, [&](auto dims) {
    using S = PassShape<T, decltype(dims)::value>;
    bytes = S::kTileBytes + S::kStateBytes;
  });
  return bytes;
}

template <typename T>
void AttentionBackward(void* stream, const T* gradient_NC, const T* qkv_NW, const T* output_NC, const float* row_BHT,
                       const AttentionShape& shape, const AttentionRule& rule, const AttentionTerms& terms, T* dqkv_NW,
                       const AttentionTermGradients& gradients, float* workspace) {
  Layer<T> layer = MakeLayer(qkv_NW, shape, rule, terms);
  layer.vectorised =
      layer.vectorised && IsVectorised(gradient_NC, shape.head_dim) && IsVectorised(dqkv_NW, shape.head_dim);
  const BackwardInputs<T> inputs{gradient_NC, output_NC, row_BHT, workspace};
  float* rest = workspace + DotFloats(shape);
  QueryPass(stream, layer, shape, inputs, dqkv_NW, rest);
  KeyPass(stream, layer, shape, inputs, dqkv_NW);
  if (layer.has_column) SumColumnPartials(stream, shape, rest, gradients);
  if (gradients.offset_bias_HS)
    OffsetBiasGradient(stream, layer, shape, inputs, gradients.offset_bias_HS,
                       rest + (layer.has_column ? AttentionColumnWorkspace(shape) : 0));
}

#define SINK_INSTANTIATE(T)                                                                                       \
  template size_t AttentionSharedBytes<T>(int64_t);                                                               \
  template void AttentionBackward(void*, const T*, const T*, const T*, const float*, const AttentionShape&,       \
                                  const AttentionRule&, const AttentionTerms&, T*, const AttentionTermGradients&, \
                                  float*);
SINK_INSTANTIATE(float)
SINK_INSTANTIATE(Bfloat16)
#undef SINK_INSTANTIATE

}  // namespace sink::kernels::cuda
