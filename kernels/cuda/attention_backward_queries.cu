// The first pass of attention's backward, for the gradient of queries. Bound: products, 6 D floating-point operations
// for each pair that is seen.
#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_passes.h"

namespace sink::kernels::cuda {
namespace {

// What the column gets from one tile of queries, and gives to dq: weights and score gradients of the rows, in shared
// memory, then sums over the rows: [key D | value D | logit] in `partial`.
template <int kD8, typename T>
SINK_DEVICE void ColumnBackward(const Layer<T>& layer, int64_t head, int first, const T* query, const T* gradient,
                                const float (&log_sum)[2], const float (&dot)[2], float (&dq)[kD8][4], float* shared,
                                float* partial) {
  constexpr int kStride = Tile<T, 8 * kD8>::kStride;
  const AttentionTerms& terms = layer.terms;
  const float* key = terms.column_key_HD ? terms.column_key_HD + head * layer.head_dim : nullptr;
  const float* value = terms.column_value_HD ? terms.column_value_HD + head * layer.head_dim : nullptr;
  SINK_UNROLL for (int half = 0; half < 2; ++half) {
    const int row = Warp() * 16 + LaneRow() + 8 * half;
    float product = 0, slope = 0;
    for (int d = Lane() % 4; d < layer.head_dim; d += 4) {
      if (key) product += ToFloat(query[row * kStride + d]) * key[d];
      if (value) slope += ToFloat(gradient[row * kStride + d]) * value[d];
    }
    const float score = RowSum(product) * layer.scale + (terms.column_logit_H ? terms.column_logit_H[head] : 0.0f);
    const bool exists = first + row < layer.length;
    const float weight = exists ? FastExp2(score * kLog2E - log_sum[half]) : 0.0f;
    const float score_gradient = weight * (RowSum(slope) - dot[half]);
    if (Lane() % 4 == 0) {
      shared[row] = weight;
      shared[kPassRows + row] = score_gradient;
    }
    if (!key) continue;
    SINK_UNROLL for (int n = 0; n < kD8; ++n) {
      SINK_UNROLL for (int i = 0; i < 2; ++i) {
        const int d = 8 * n + LaneColumn() + i;
        if (d < layer.head_dim) dq[n][2 * half + i] += score_gradient * key[d];
      }
    }
  }
  Barrier();
  for (int d = Thread(); d < layer.head_dim; d += Threads()) {
    float dkey = 0, dvalue = 0;
    for (int row = 0; row < kPassRows; ++row) {
      dkey += shared[kPassRows + row] * ToFloat(query[row * kStride + d]);
      dvalue += shared[row] * ToFloat(gradient[row * kStride + d]);
    }
    partial[d] = dkey * layer.scale;
    partial[layer.head_dim + d] = dvalue;
  }
  if (Thread() == 0) {
    float dlogit = 0;
    for (int row = 0; row < kPassRows; ++row) dlogit += shared[kPassRows + row];
    partial[2 * layer.head_dim] = dlogit;
  }
}

// partial: a row of 2 D + 1 for each head, sequence and tile, in that order.
template <typename T, int kDims>
SINK_KERNEL(32 * kPassWarps)
QueryKernel(Layer<T> layer, BackwardInputs<T> x, T* dqkv_NW, float* partial) {
  using S = PassShape<T, kDims>;
  const int64_t head = BlockY(), batch = BlockZ();
  const int tiles = (layer.length + kPassRows - 1) / kPassRows;
  const int index = tiles - 1 - static_cast<int>(BlockX()), first = index * kPassRows, warp_row = Warp() * 16;
  T* query = SharedMemory<T>();
  T* gradient = query + kPassRows * S::kStride;
  T* buffers = gradient + kPassRows * S::kStride;  // keys, values; keys, values
  const T *keys = layer.Key(batch, head), *values = layer.Value(batch, head);
  const T* dout = x.gradient_NC + OutputRow(layer, batch, 0, head);
  const int64_t output_stride = static_cast<int64_t>(layer.heads) * layer.head_dim;
  const auto load = [&](int tile, int buffer) {
    T* key = buffers + 2 * buffer * S::kRows * S::kStride;
    LoadTile<S::kRows, kDims>(keys, layer.width, tile * S::kRows, layer.length, layer.head_dim, layer.vectorised, key);
    LoadTile<S::kRows, kDims>(values, layer.width, tile * S::kRows, layer.length, layer.head_dim, layer.vectorised,
                              key + S::kRows * S::kStride);
  };
  const KeyTiles range(layer, S::kRows, first, kPassRows);
  LoadTile<kPassRows, kDims>(layer.Query(batch, head), layer.width, first, layer.length, layer.head_dim,
                             layer.vectorised, query);
  LoadTile<kPassRows, kDims>(dout, output_stride, first, layer.length, layer.head_dim, layer.vectorised, gradient);
  load(range.Begin(), 0);
  AsyncCommit();

  RowState state[2];
  float log_sum[2], dot[2];
  SINK_UNROLL for (int half = 0; half < 2; ++half) {
    const int position = first + warp_row + LaneRow() + 8 * half;
    const bool exists = position < layer.length;
    const int64_t row = (batch * layer.heads + head) * layer.length + position;
    const int64_t output = OutputRow(layer, batch, position, head);
    float sum = 0;
    for (int d = Lane() % 4; exists && d < layer.head_dim; d += 4)
      sum += ToFloat(x.gradient_NC[output + d]) * ToFloat(x.output_NC[output + d]);
    dot[half] = RowSum(sum);
    const float statistic = exists ? x.row_BHT[row] : 0.0f;
    if (exists && Lane() % 4 == 0) x.dot_BHT[row] = dot[half];
    log_sum[half] = statistic * kLog2E;
    state[half] = StateOf(layer, statistic, dot[half]);
  }

  const float* bias = layer.Bias(head);
  float dq[1][S::kD8][4] = {};
  int buffer = 0;
  SINK_ROLLED for (int tile = range.Begin(); tile < range.last; tile = range.Next(tile)) {
    if (range.Next(tile) < range.last) load(range.Next(tile), 1 - buffer);
    AsyncCommit();
    AsyncWait<1>();
    Barrier();  // this tile is there
    const T* key = buffers + 2 * buffer * S::kRows * S::kStride;
    float s[1][S::kN][4] = {}, dp[1][S::kN][4] = {};
    AddTransposedProduct<kDims>(query + warp_row * S::kStride, key, s);
    AddTransposedProduct<kDims>(gradient + warp_row * S::kStride, key + S::kRows * S::kStride, dp);
    const bool all_seen = layer.SeesAll(first, kPassRows, tile * S::kRows, S::kRows);
    MakeScores</*kKeysDown=*/false>(layer, bias, all_seen, first + warp_row, tile * S::kRows, s);
    WithKind(layer.similarity, [&](auto kind) {
      constexpr Similarity kKind = decltype(kind)::value;
      SINK_UNROLL for (int n = 0; n < S::kN; ++n) {
        SINK_UNROLL for (int i = 0; i < 4; ++i) {
          const float weight = WeightOf<kKind>(s[0][n][i], state[i / 2]);
          dp[0][n][i] = ScoreGradient<kKind>(s[0][n][i], weight, state[i / 2], dp[0][n][i]);
        }
      }
    });
    AddProduct(dp, key, dq);
    Barrier();  // nobody reads this buffer, which the next round fills
    buffer = 1 - buffer;
  }
  AsyncWait<0>();
  Barrier();  // where no key is seen, queries and gradients have not been waited for
  if (layer.has_column) {
    auto* shared = reinterpret_cast<float*>(buffers);
    const int64_t row = (head * GridZ() + batch) * tiles + index;
    ColumnBackward(layer, head, first, query, gradient, log_sum, dot, dq[0], shared,
                   partial + row * (2 * layer.head_dim + 1));
  }
  SINK_UNROLL for (int half = 0; half < 2; ++half) {
    const int position = first + warp_row + LaneRow() + 8 * half;
    if (position >= layer.length) continue;
    T* out = dqkv_NW + (batch * layer.length + position) * layer.width + head * layer.head_dim;
    SINK_UNROLL for (int n = 0; n < S::kD8; ++n)
        StorePair(dq[0][n][2 * half] * layer.scale, dq[0][n][2 * half + 1] * layer.scale, 8 * n + LaneColumn(),
                  layer.head_dim, layer.vectorised, out);
  }
}

}  // namespace

template <typename T>
void QueryPass(void* stream, const Layer<T>& layer, const AttentionShape& shape, const BackwardInputs<T>& inputs,
               T* dqkv_NW, float* partial) {
  WithDims<T>(shape.head_dim, [&](auto dims) {
    constexpr int kDims = decltype(dims)::value;
    Launch("attention: queries' gradient", &QueryKernel<T, kDims>,
           Grid{CeilDivide<int64_t>(shape.length, kPassRows), shape.heads, shape.batch}, 32 * kPassWarps,
           PassShape<T, kDims>::kTileBytes, stream, layer, inputs, dqkv_NW, partial);
  });
}

template void QueryPass(void*, const Layer<float>&, const AttentionShape&, const BackwardInputs<float>&, float*,
                        float*);
template void QueryPass(void*, const Layer<Bfloat16>&, const AttentionShape&, const BackwardInputs<Bfloat16>&,
                        Bfloat16*, float*);

}  // namespace sink::kernels::cuda
