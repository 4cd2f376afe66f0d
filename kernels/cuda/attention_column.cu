// The column of softmax attention by itself. Its gradients are sums over all rows of a head: each block leaves those of
// its rows in `partial`, one kernel adds them up in order. For attention that a library has computed without the
// column, two more kernels add it in and take it back: with the score c and the log-sum-exp L of a row, L' = log(e^L +
// e^c) and the output is e^(L-L') times the library's plus e^(c-L') times the column's value; given L' and that output,
// the library's own backward pass is right for every key. Bound: memory, 3 values of a head's row read and 1 written
// forward, 4 and 1 backward.
#include <algorithm>

#include "kernels/cuda/attention_passes.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kPerLane = kMaxHeadDim / 32;  // values of a row that a lane has: lane, lane + 32, ...
constexpr int kReduceThreads = 128;

// One row's values and what is the same for all rows of a head; beyond the head's width they are 0.
using HeadRow = float[kPerLane];
template <typename T>
SINK_DEVICE void LoadValues(const T* row, int head_dim, HeadRow& x) {
  SINK_UNROLL for (int k = 0; k < kPerLane; ++k) {
    const int d = Lane() + 32 * k;
    x[k] = row && d < head_dim ? ToFloat(row[d]) : 0.0f;
  }
}
SINK_DEVICE float Product(const HeadRow& a, const HeadRow& b) {
  float sum = 0;
  SINK_UNROLL for (int k = 0; k < kPerLane; ++k) sum += a[k] * b[k];
  return WarpSum(sum);
}
SINK_DEVICE const float* RowOf(const float* term_HD, int64_t head, int head_dim) {
  return term_HD ? term_HD + head * head_dim : nullptr;
}

template <typename T>
SINK_KERNEL(32 * kWarps)
AddColumnKernel(Layer<T> layer, T* output_NC, float* row_BHT) {
  const int64_t head = BlockY(), batch = BlockZ();
  const AttentionTerms& terms = layer.terms;
  HeadRow key, value;
  LoadValues(RowOf(terms.column_key_HD, head, layer.head_dim), layer.head_dim, key);
  LoadValues(RowOf(terms.column_value_HD, head, layer.head_dim), layer.head_dim, value);
  const float logit = terms.column_logit_H ? terms.column_logit_H[head] : 0.0f;
  const int64_t first = BlockX() * kColumnRows;
  SINK_ROLLED for (int64_t position = first + Warp(); position < first + kColumnRows; position += kWarps) {
    if (position >= layer.length) break;
    float* statistic = row_BHT + (batch * layer.heads + head) * layer.length + position;
    T* out = output_NC + OutputRow(layer, batch, position, head);
    const float log_sum = *statistic;  // before lanes meet in the product, and one of them changes it
    HeadRow query;
    LoadValues(layer.Query(batch, head) + position * layer.width, layer.head_dim, query);
    const float score = Product(query, key) * layer.scale + logit;
    const float largest = fmaxf(log_sum, score);
    const float whole = largest + logf(expf(log_sum - largest) + expf(score - largest));
    const float kept = expf(log_sum - whole), weight = expf(score - whole);
    SINK_UNROLL for (int k = 0; k < kPerLane; ++k) {
      const int d = Lane() + 32 * k;
      if (d < layer.head_dim) out[d] = FromFloat<T>(ToFloat(out[d]) * kept + weight * value[k]);
    }
    if (Lane() == 0) *statistic = whole;
  }
}

template <typename T>
SINK_KERNEL(32 * kWarps)
TakeColumnKernel(Layer<T> layer, BackwardInputs<T> x, T* dqkv_NW, float* partial) {
  const int64_t head = BlockY(), batch = BlockZ();
  const AttentionTerms& terms = layer.terms;
  HeadRow key, value, dkey = {}, dvalue = {};
  LoadValues(RowOf(terms.column_key_HD, head, layer.head_dim), layer.head_dim, key);
  LoadValues(RowOf(terms.column_value_HD, head, layer.head_dim), layer.head_dim, value);
  const float logit = terms.column_logit_H ? terms.column_logit_H[head] : 0.0f;
  float dlogit = 0;
  const int64_t first = BlockX() * kColumnRows;
  SINK_ROLLED for (int64_t position = first + Warp(); position < first + kColumnRows; position += kWarps) {
    if (position >= layer.length) break;
    const int64_t at = OutputRow(layer, batch, position, head);
    HeadRow query, gradient, output;
    LoadValues(layer.Query(batch, head) + position * layer.width, layer.head_dim, query);
    LoadValues(x.gradient_NC + at, layer.head_dim, gradient);
    LoadValues(x.output_NC + at, layer.head_dim, output);
    const float score = Product(query, key) * layer.scale + logit;
    const float weight = expf(score - x.row_BHT[(batch * layer.heads + head) * layer.length + position]);
    const float slope = weight * (Product(gradient, value) - Product(gradient, output));
    T* dquery = dqkv_NW + (batch * layer.length + position) * layer.width + head * layer.head_dim;
    dlogit += slope;
    SINK_UNROLL for (int k = 0; k < kPerLane; ++k) {
      const int d = Lane() + 32 * k;
      dkey[k] += slope * layer.scale * query[k];
      dvalue[k] += weight * gradient[k];
      if (terms.column_key_HD && d < layer.head_dim)
        dquery[d] = FromFloat<T>(ToFloat(dquery[d]) + slope * layer.scale * key[k]);
    }
  }
  // Of each warp a row of sums, then their sum.
  const int columns = 2 * layer.head_dim + 1;
  float* shared = SharedMemory<float>();
  SINK_UNROLL for (int k = 0; k < kPerLane; ++k) {
    const int d = Lane() + 32 * k;
    if (d >= layer.head_dim) continue;
    shared[Warp() * columns + d] = dkey[k];
    shared[Warp() * columns + layer.head_dim + d] = dvalue[k];
  }
  if (Lane() == 0) shared[Warp() * columns + columns - 1] = dlogit;
  Barrier();
  for (int c = Thread(); c < columns; c += Threads()) {
    float sum = 0;
    for (int warp = 0; warp < kWarps; ++warp) sum += shared[warp * columns + c];
    partial[((head * GridZ() + batch) * GridX() + BlockX()) * columns + c] = sum;
  }
}

// The column's gradients of one head: sums over its rows of `partial`.
SINK_KERNEL(kReduceThreads)
SumKernel(const float* partial, int64_t rows, int head_dim, AttentionTermGradients out) {
  const int64_t head = BlockX();
  const int columns = 2 * head_dim + 1;
  for (int c = Thread(); c < columns; c += kReduceThreads) {
    float sum = 0;
    for (int64_t row = 0; row < rows; ++row) sum += partial[(head * rows + row) * columns + c];
    if (c < head_dim) {
      if (out.column_key_HD) out.column_key_HD[head * head_dim + c] = sum;
    } else if (c < 2 * head_dim) {
      if (out.column_value_HD) out.column_value_HD[(head - 1) * head_dim + c] = sum;
    } else if (out.column_logit_H) {
      out.column_logit_H[head] = sum;
    }
  }
}

int64_t BlocksOf(int64_t length) { return CeilDivide<int64_t>(length, kColumnRows); }
constexpr AttentionRule kSoftmaxRule{};

}  // namespace

int64_t AttentionColumnWorkspace(const AttentionShape& s) {
  return s.batch * s.heads * BlocksOf(s.length) * (2 * s.head_dim + 1);
}

void SumColumnPartials(void* stream, const AttentionShape& shape, const float* partial,
                       const AttentionTermGradients& gradients) {
  Launch("attention: column's gradient", &SumKernel, Grid{shape.heads}, kReduceThreads, 0, stream, partial,
         shape.batch * BlocksOf(shape.length), static_cast<int>(shape.head_dim), gradients);
}

template <typename T>
void AttentionAddColumn(void* stream, const T* qkv_NW, const AttentionShape& shape, const AttentionTerms& terms,
                        T* output_NC, float* row_BHT) {
  const Layer<T> layer = MakeLayer(qkv_NW, shape, kSoftmaxRule, terms);
  Launch("attention: column", &AddColumnKernel<T>, Grid{BlocksOf(shape.length), shape.heads, shape.batch}, 32 * kWarps,
         0, stream, layer, output_NC, row_BHT);
}

template <typename T>
void AttentionTakeColumn(void* stream, const T* gradient_NC, const T* qkv_NW, const T* output_NC, const float* row_BHT,
                         const AttentionShape& shape, const AttentionTerms& terms, T* dqkv_NW,
                         const AttentionTermGradients& gradients, float* workspace) {
  const Layer<T> layer = MakeLayer(qkv_NW, shape, kSoftmaxRule, terms);
  const BackwardInputs<T> inputs{gradient_NC, output_NC, row_BHT, nullptr};
  Launch("attention: column's part", &TakeColumnKernel<T>, Grid{BlocksOf(shape.length), shape.heads, shape.batch},
         32 * kWarps, kWarps * static_cast<size_t>(2 * shape.head_dim + 1) * sizeof(float), stream, layer, inputs,
         dqkv_NW, workspace);
  SumColumnPartials(stream, shape, workspace, gradients);
}

#define SINK_INSTANTIATE(T)                                                                                    \
  template void AttentionAddColumn(void*, const T*, const AttentionShape&, const AttentionTerms&, T*, float*); \
  template void AttentionTakeColumn(void*, const T*, const T*, const T*, const float*, const AttentionShape&,  \
                                    const AttentionTerms&, T*, const AttentionTermGradients&, float*);
SINK_INSTANTIATE(float)
SINK_INSTANTIATE(Bfloat16)
#undef SINK_INSTANTIATE

}  // namespace sink::kernels::cuda
