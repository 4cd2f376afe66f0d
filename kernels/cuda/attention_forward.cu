// Attention forward: a block takes a tile of queries of one head and walks over the tiles of keys that they see. Scores
// and weights stay in registers; softmax and softpick keep a running maximum and rescale (Milakov and Gimelshein 2018,
// Dao et al. 2022). Keys of the next tile and values of this one are copied while others are multiplied. Bound:
// products, 4 D floating-point operations for each pair that is seen (half of T x T under the causal mask).
#include <algorithm>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_tiles.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kWarps = 4;

// 16 kM queries a warp, 8 kN keys a tile.
template <typename T, int kDims>
struct Shape {
  static constexpr bool kTensorCores = sizeof(T) == 2;
  static constexpr int kM = kTensorCores ? 2 : 1, kN = kTensorCores && kDims <= 96 ? 8 : 4;
  static constexpr int kQueries = 16 * kM * kWarps, kKeys = 8 * kN, kColumns8 = kDims / 8;
  static constexpr size_t kSharedBytes = Tile<T, kDims>::Bytes(kQueries + 2 * kKeys);
};

template <int kM>
struct Running {
  float largest[kM][2], sum[kM][2];  // of a row: its largest score so far, and this lane's share of the weights' sum
};

// One tile's scores become weights below the running maximum; earlier outputs and sums are brought to the new one.
template <Similarity kKind, int kM, int kN, int kD8>
SINK_DEVICE void Softmax(float (&s)[kM][kN][4], Running<kM>& run, float (&out)[kM][kD8][4]) {
  float largest[kM][2], one[kM][2];
  SINK_UNROLL for (int m = 0; m < kM; ++m) largest[m][0] = largest[m][1] = -INFINITY;
  ForCells(s, [&](float& x, int m, int half, int, int) { largest[m][half] = fmaxf(largest[m][half], x); });
  SINK_UNROLL for (int m = 0; m < kM; ++m) {
    SINK_UNROLL for (int half = 0; half < 2; ++half) {
      const float next = fmaxf(run.largest[m][half], RowMax(largest[m][half]));
      const float base = next == -INFINITY ? 0.0f : next;  // no key seen yet
      const float factor = FastExp2(run.largest[m][half] - base);
      run.largest[m][half] = next;
      run.sum[m][half] *= factor;
      largest[m][half] = base;
      one[m][half] = FastExp2(-base);
      SINK_UNROLL for (int n = 0; n < kD8; ++n) {
        out[m][n][2 * half] *= factor;
        out[m][n][2 * half + 1] *= factor;
      }
    }
  }
  if constexpr (kKind == Similarity::kSoftpick) {
    ForCells(s, [&](float& x, int m, int half, int, int) {
      const float above = x == -INFINITY ? 0.0f : FastExp2(x - largest[m][half]) - one[m][half];
      run.sum[m][half] += fabsf(above);
      x = fmaxf(above, 0.0f);
    });
  } else {
    ForCells(s, [&](float& x, int m, int half, int, int) {
      x = FastExp2(x - largest[m][half]);
      run.sum[m][half] += x;
    });
  }
}

// The score of the column for a row of queries in shared memory, the same in the four lanes of the row.
template <typename T>
SINK_DEVICE float ColumnScore(const Layer<T>& layer, int64_t head, const T* query) {
  const AttentionTerms& terms = layer.terms;
  float product = 0;
  if (terms.column_key_HD)
    for (int d = Lane() % 4; d < layer.head_dim; d += 4)
      product += ToFloat(query[d]) * terms.column_key_HD[head * layer.head_dim + d];
  const float logit = terms.column_logit_H ? terms.column_logit_H[head] : 0.0f;
  return (RowSum(product) * layer.scale + logit) * layer.unit;
}

// Counts the column among a row's weights, and adds its value to the row's output.
template <int kD8, typename T>
SINK_DEVICE void AddColumn(const Layer<T>& layer, int64_t head, float score, int half, float& largest, float& sum,
                           float (&out)[kD8][4]) {
  const float next = fmaxf(largest, score);
  const float factor = FastExp2(largest - next), weight = FastExp2(score - next);
  largest = next;
  sum = sum * factor + weight;
  const float* value = layer.terms.column_value_HD;
  SINK_UNROLL for (int n = 0; n < kD8; ++n) {
    SINK_UNROLL for (int i = 0; i < 2; ++i) {
      const int d = 8 * n + LaneColumn() + i;
      const float add = value && d < layer.head_dim ? weight * value[head * layer.head_dim + d] : 0.0f;
      out[n][2 * half + i] = out[n][2 * half + i] * factor + add;
    }
  }
}

template <typename T, int kDims>
SINK_KERNEL(32 * kWarps)
ForwardKernel(Layer<T> layer, T* output_NC, float* row_BHT) {
  using S = Shape<T, kDims>;
  const int64_t head = BlockY(), batch = BlockZ();
  // The last queries see most keys: they start first.
  const int tiles = (layer.length + S::kQueries - 1) / S::kQueries;
  const int first = (tiles - 1 - static_cast<int>(BlockX())) * S::kQueries;
  const int warp_row = Warp() * 16 * S::kM;
  T* query = SharedMemory<T>();
  T* key = query + S::kQueries * Tile<T, kDims>::kStride;
  T* value = key + S::kKeys * Tile<T, kDims>::kStride;
  const T *keys = layer.Key(batch, head), *values = layer.Value(batch, head);
  const auto load = [&](const T* from, int tile, T* to) {
    LoadTile<S::kKeys, kDims>(from, layer.width, tile * S::kKeys, layer.length, layer.head_dim, layer.vectorised, to);
  };
  const float* bias = layer.Bias(head);
  const bool softmax = layer.similarity == Similarity::kSoftmax, softpick = layer.similarity == Similarity::kSoftpick;

  const KeyTiles range(layer, S::kKeys, first, S::kQueries);
  LoadTile<S::kQueries, kDims>(layer.Query(batch, head), layer.width, first, layer.length, layer.head_dim,
                               layer.vectorised, query);
  load(keys, range.Begin(), key);
  AsyncCommit();
  float out[S::kM][S::kColumns8][4] = {};
  Running<S::kM> run;
  SINK_UNROLL for (int m = 0; m < S::kM; ++m) {
    SINK_UNROLL for (int half = 0; half < 2; ++half) {
      run.largest[m][half] = softpick ? 0.0f : -INFINITY;  // e^0 - 1 = 0: softpick's base is at least 0
      run.sum[m][half] = 0;
    }
  }
  SINK_ROLLED for (int tile = range.Begin(); tile < range.last; tile = range.Next(tile)) {
    AsyncWait<0>();
    Barrier();  // the keys are there, and nobody reads the values of the tile before
    load(values, tile, value);
    AsyncCommit();
    float s[S::kM][S::kN][4] = {};
    AddTransposedProduct<kDims>(query + warp_row * Tile<T, kDims>::kStride, key, s);
    AsyncWait<0>();
    Barrier();  // the values are there, and nobody reads the keys
    if (range.Next(tile) < range.last) load(keys, range.Next(tile), key);
    AsyncCommit();
    const bool all_seen = layer.SeesAll(first, S::kQueries, tile * S::kKeys, S::kKeys);
    MakeScores</*kKeysDown=*/false>(layer, bias, all_seen, first + warp_row, tile * S::kKeys, s);
    WithKind(layer.similarity, [&](auto kind) {
      constexpr Similarity kKind = decltype(kind)::value;
      if constexpr (kKind == Similarity::kSoftmax || kKind == Similarity::kSoftpick) {
        Softmax<kKind>(s, run, out);
      } else {
        ForCells(s, [&](float& x, int m, int half, int, int) {
          x = PlainWeight<kKind>(x);
          run.sum[m][half] += x;
        });
      }
    });
    AddProduct(s, value, out);
  }
  AsyncWait<0>();
  Barrier();  // where no key is seen, the queries have not been waited for

  SINK_UNROLL for (int m = 0; m < S::kM; ++m) {
    SINK_UNROLL for (int half = 0; half < 2; ++half) {
      const int row = 16 * m + LaneRow() + 8 * half, position = first + warp_row + row;
      float sum = RowSum(run.sum[m][half]), statistic = sum, inverse = 0;
      if (layer.has_column) {
        const float score = ColumnScore(layer, head, query + (warp_row + row) * Tile<T, kDims>::kStride);
        AddColumn(layer, head, score, half, run.largest[m][half], sum, out[m]);
      }
      if (softpick) sum += kSoftpickEpsilon;
      if (softmax || softpick) {
        statistic = run.largest[m][half] * kLn2 + logf(sum);
        inverse = 1.0f / sum;
      } else {
        inverse = StateOf(layer, sum, 0.0f).shift;
      }
      if (position >= layer.length) continue;
      if (Lane() % 4 == 0) row_BHT[(batch * layer.heads + head) * layer.length + position] = statistic;
      T* output = output_NC + ((batch * layer.length + position) * layer.heads + head) * layer.head_dim;
      SINK_UNROLL for (int n = 0; n < S::kColumns8; ++n)
          StorePair(out[m][n][2 * half] * inverse, out[m][n][2 * half + 1] * inverse, 8 * n + LaneColumn(),
                    layer.head_dim, layer.vectorised, output);
    }
  }
}

template <typename T, int kDims>
void Run(void* stream, const Layer<T>& layer, int64_t batch, T* output_NC, float* row_BHT) {
  using S = Shape<T, kDims>;
  Launch("attention", &ForwardKernel<T, kDims>, Grid{CeilDivide(layer.length, S::kQueries), layer.heads, batch},
         32 * kWarps, S::kSharedBytes, stream, layer, output_NC, row_BHT);
}

}  // namespace

template <typename T>
void AttentionForward(void* stream, const T* qkv_NW, const AttentionShape& shape, const AttentionRule& rule,
                      const AttentionTerms& terms, T* output_NC, float* row_BHT) {
  const Layer<T> layer = MakeLayer(qkv_NW, shape, rule, terms);
  WithDims<T>(shape.head_dim,
              [&](auto dims) { Run<T, decltype(dims)::value>(stream, layer, shape.batch, output_NC, row_BHT); });
}

template void AttentionForward(void*, const float*, const AttentionShape&, const AttentionRule&, const AttentionTerms&,
                               float*, float*);
template void AttentionForward(void*, const Bfloat16*, const AttentionShape&, const AttentionRule&,
                               const AttentionTerms&, Bfloat16*, float*);

}  // namespace sink::kernels::cuda
