// Attention backward, in two passes (and a third for a learned bias: attention_bias.cu) that make scores anew, so that
// every sum has one owner and one order. The first owns a tile of queries: dq, and what goes through the column; it
// also leaves dot = output . d(output) of each row to the second, which owns a tile of keys of one key/value head and
// adds up dk and dv over the group's query heads. There scores are made transposed, keys down, so that weights are at
// once the left factor of the products with dout and q. Bound: products, 14 D floating-point operations for each pair
// that is seen (5 of the 7 products are needed by any way).
#include <algorithm>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_passes.h"

namespace sink::kernels::cuda {

namespace {

constexpr int kWarps = 4, kOwned = 16 * kWarps;  // rows that a block owns
static_assert(kOwned == kColumnRows);

// Rows of the other side that are seen at a time, in one of two buffers while the next are copied to the other.
template <typename T, int kDims>
struct Shape {
  static constexpr int kN = sizeof(T) != 2 ? 4 : kDims <= 64 ? 8 : kDims <= 96 ? 6 : 4;
  static constexpr int kRows = 8 * kN, kD8 = kDims / 8;
  static constexpr int kStride = Tile<T, kDims>::kStride;
  static constexpr size_t kTileBytes = Tile<T, kDims>::Bytes(2 * kOwned + 4 * kRows);
};

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
      shared[kOwned + row] = score_gradient;
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
    for (int row = 0; row < kOwned; ++row) {
      dkey += shared[kOwned + row] * ToFloat(query[row * kStride + d]);
      dvalue += shared[row] * ToFloat(gradient[row * kStride + d]);
    }
    partial[d] = dkey * layer.scale;
    partial[layer.head_dim + d] = dvalue;
  }
  if (Thread() == 0) {
    float dlogit = 0;
    for (int row = 0; row < kOwned; ++row) dlogit += shared[kOwned + row];
    partial[2 * layer.head_dim] = dlogit;
  }
}

// partial: a row of 2 D + 1 for each head, sequence and tile, in that order.
template <typename T, int kDims>
SINK_KERNEL(32 * kWarps)
QueryKernel(Layer<T> layer, BackwardInputs<T> x, T* dqkv_NW, float* partial) {
  using S = Shape<T, kDims>;
  const int64_t head = BlockY(), batch = BlockZ();
  const int tiles = (layer.length + kOwned - 1) / kOwned;
  const int index = tiles - 1 - static_cast<int>(BlockX()), first = index * kOwned, warp_row = Warp() * 16;
  T* query = SharedMemory<T>();
  T* gradient = query + kOwned * S::kStride;
  T* buffers = gradient + kOwned * S::kStride;  // keys, values; keys, values
  const T *keys = layer.Key(batch, head), *values = layer.Value(batch, head);
  const T* dout = x.gradient_NC + OutputRow(layer, batch, 0, head);
  const int64_t output_stride = static_cast<int64_t>(layer.heads) * layer.head_dim;
  const auto load = [&](int tile, int buffer) {
    T* key = buffers + 2 * buffer * S::kRows * S::kStride;
    LoadTile<S::kRows, kDims>(keys, layer.width, tile * S::kRows, layer.length, layer.head_dim, layer.vectorised, key);
    LoadTile<S::kRows, kDims>(values, layer.width, tile * S::kRows, layer.length, layer.head_dim, layer.vectorised,
                              key + S::kRows * S::kStride);
  };
  const KeyTiles range(layer, S::kRows, first, kOwned);
  LoadTile<kOwned, kDims>(layer.Query(batch, head), layer.width, first, layer.length, layer.head_dim, layer.vectorised,
                          query);
  LoadTile<kOwned, kDims>(dout, output_stride, first, layer.length, layer.head_dim, layer.vectorised, gradient);
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
    const bool all_seen = layer.SeesAll(first, kOwned, tile * S::kRows, S::kRows);
    WithKind(layer.similarity, [&](auto kind) {
      constexpr Similarity kKind = decltype(kind)::value;
      SINK_UNROLL for (int n = 0; n < S::kN; ++n) {
        SINK_UNROLL for (int i = 0; i < 4; ++i) {
          const int position = first + warp_row + LaneRow() + i / 2 * 8;
          const float score =
              layer.Score(s[0][n][i], bias, all_seen, position, tile * S::kRows + 8 * n + LaneColumn() + i % 2);
          const float weight = WeightOf<kKind>(layer.similarity, score, state[i / 2]);
          dp[0][n][i] = ScoreGradient<kKind>(layer.similarity, score, weight, state[i / 2], dp[0][n][i]);
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

template <typename T, int kDims>
SINK_KERNEL(32 * kWarps)
KeyKernel(Layer<T> layer, BackwardInputs<T> x, T* dqkv_NW) {
  using S = Shape<T, kDims>;
  const int64_t key_head = BlockY(), batch = BlockZ();
  const int first = static_cast<int>(BlockX()) * kOwned, warp_row = Warp() * 16;
  const int groups = layer.heads / layer.key_value_heads;
  T* key = SharedMemory<T>();
  T* value = key + kOwned * S::kStride;
  T* buffers = value + kOwned * S::kStride;  // queries, gradients; queries, gradients
  auto* states = reinterpret_cast<RowState*>(buffers + 4 * S::kRows * S::kStride);
  const QueryTiles range(layer, S::kRows, first, kOwned);
  const int tiles = range.last - range.first, steps = tiles * groups;
  const int64_t output_stride = static_cast<int64_t>(layer.heads) * layer.head_dim;
  // Step i is tile i % tiles of the group's head i / tiles.
  const auto head_of = [&](int step) { return key_head * groups + step / tiles; };
  const auto tile_of = [&](int step) { return (range.first + step % tiles) * S::kRows; };
  const auto load = [&](int step, int buffer) {
    const int64_t head = head_of(step);
    T* query = buffers + 2 * buffer * S::kRows * S::kStride;
    LoadTile<S::kRows, kDims>(layer.Query(batch, head), layer.width, tile_of(step), layer.length, layer.head_dim,
                              layer.vectorised, query);
    LoadTile<S::kRows, kDims>(x.gradient_NC + OutputRow(layer, batch, 0, head), output_stride, tile_of(step),
                              layer.length, layer.head_dim, layer.vectorised, query + S::kRows * S::kStride);
    if (Thread() < S::kRows) {
      const int position = tile_of(step) + Thread();
      const int64_t row = (batch * layer.heads + head) * layer.length + position;
      const bool exists = position < layer.length;
      states[buffer * S::kRows + Thread()] =
          StateOf(layer, exists ? x.row_BHT[row] : 0.0f, exists ? x.dot_BHT[row] : 0.0f);
    }
  };
  const int64_t first_query_head = key_head * groups;
  LoadTile<kOwned, kDims>(layer.Key(batch, first_query_head), layer.width, first, layer.length, layer.head_dim,
                          layer.vectorised, key);
  LoadTile<kOwned, kDims>(layer.Value(batch, first_query_head), layer.width, first, layer.length, layer.head_dim,
                          layer.vectorised, value);
  load(0, 0);
  AsyncCommit();
  float dk[1][S::kD8][4] = {}, dv[1][S::kD8][4] = {};
  SINK_ROLLED for (int step = 0; step < steps; ++step) {
    const int buffer = step % 2, tile = tile_of(step);
    if (step + 1 < steps) load(step + 1, 1 - buffer);
    AsyncCommit();
    AsyncWait<1>();
    Barrier();  // this step's tiles are there
    const T* query = buffers + 2 * buffer * S::kRows * S::kStride;
    const T* gradient = query + S::kRows * S::kStride;
    const float* bias = layer.Bias(head_of(step));
    float s[1][S::kN][4] = {}, dp[1][S::kN][4] = {};
    AddTransposedProduct<kDims>(key + warp_row * S::kStride, query, s);
    AddTransposedProduct<kDims>(value + warp_row * S::kStride, gradient, dp);
    const bool all_seen = layer.SeesAll(tile, S::kRows, first, kOwned);
    WithKind(layer.similarity, [&](auto kind) {
      constexpr Similarity kKind = decltype(kind)::value;
      SINK_UNROLL for (int n = 0; n < S::kN; ++n) {
        SINK_UNROLL for (int i = 0; i < 4; ++i) {
          const int column = 8 * n + LaneColumn() + i % 2;
          const RowState state = states[buffer * S::kRows + column];
          const float score =
              layer.Score(s[0][n][i], bias, all_seen, tile + column, first + warp_row + LaneRow() + i / 2 * 8);
          const bool seen = score != -INFINITY;
          const float weight = seen ? WeightOf<kKind>(layer.similarity, score, state) : 0.0f;
          s[0][n][i] = weight;
          dp[0][n][i] = seen ? ScoreGradient<kKind>(layer.similarity, score, weight, state, dp[0][n][i]) : 0.0f;
        }
      }
    });
    AddProduct(s, gradient, dv);
    AddProduct(dp, query, dk);
    Barrier();  // nobody reads this buffer, which the next round fills
  }
  AsyncWait<0>();
  SINK_UNROLL for (int half = 0; half < 2; ++half) {
    const int position = first + warp_row + LaneRow() + 8 * half;
    if (position >= layer.length) continue;
    T* row = dqkv_NW + (batch * layer.length + position) * layer.width;
    T* dkey = row + (layer.heads + key_head) * layer.head_dim;
    T* dvalue = dkey + static_cast<int64_t>(layer.key_value_heads) * layer.head_dim;
    SINK_UNROLL for (int n = 0; n < S::kD8; ++n) {
      StorePair(dk[0][n][2 * half] * layer.scale, dk[0][n][2 * half + 1] * layer.scale, 8 * n + LaneColumn(),
                layer.head_dim, layer.vectorised, dkey);
      StorePair(dv[0][n][2 * half], dv[0][n][2 * half + 1], 8 * n + LaneColumn(), layer.head_dim, layer.vectorised,
                dvalue);
    }
  }
}

int64_t DotFloats(const AttentionShape& s) { return CeilDivide<int64_t>(s.batch * s.heads * s.length, 4) * 4; }

template <typename T, int kDims>
void Run(void* stream, const Layer<T>& layer, const AttentionShape& shape, const BackwardInputs<T>& inputs, T* dqkv_NW,
         const AttentionTermGradients& gradients, float* partial) {
  using S = Shape<T, kDims>;
  const int64_t tiles = CeilDivide<int64_t>(shape.length, kOwned);
  Launch("attention: queries' gradient", &QueryKernel<T, kDims>, Grid{tiles, shape.heads, shape.batch}, 32 * kWarps,
         S::kTileBytes, stream, layer, inputs, dqkv_NW, partial);
  Launch("attention: keys' and values' gradient", &KeyKernel<T, kDims>, Grid{tiles, shape.key_value_heads, shape.batch},
         32 * kWarps, S::kTileBytes + 2 * S::kRows * sizeof(RowState), stream, layer, inputs, dqkv_NW);
  if (layer.has_column) SumColumnPartials(stream, shape, partial, gradients);
}

}  // namespace

int64_t AttentionWorkspace(const AttentionShape& shape, const AttentionTerms& terms, bool bias_gradient) {
  return DotFloats(shape) + (terms.HasColumn() ? AttentionColumnWorkspace(shape) : 0) +
         (bias_gradient ? OffsetBiasWorkspace(shape) : 0);
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
  WithDims<T>(shape.head_dim, [&](auto dims) {
    Run<T, decltype(dims)::value>(stream, layer, shape, inputs, dqkv_NW, gradients, rest);
  });
  if (gradients.offset_bias_HS)
    OffsetBiasGradient(stream, layer, shape, inputs, gradients.offset_bias_HS,
                       rest + (layer.has_column ? AttentionColumnWorkspace(shape) : 0));
}

#define SINK_INSTANTIATE(T)                                                                                       \
  template void AttentionBackward(void*, const T*, const T*, const T*, const float*, const AttentionShape&,       \
                                  const AttentionRule&, const AttentionTerms&, T*, const AttentionTermGradients&, \
                                  float*);
SINK_INSTANTIATE(float)
SINK_INSTANTIATE(Bfloat16)
#undef SINK_INSTANTIATE

}  // namespace sink::kernels::cuda
