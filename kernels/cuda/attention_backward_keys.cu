// The second pass of attention's backward, for the gradients of keys and values. Scores are made transposed, keys down,
// so that weights are at once the left factor of the products with dout and q. Bound: products, 8 D floating-point
// operations for each pair that is seen.
#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_passes.h"

namespace sink::kernels::cuda {
namespace {

template <typename T, int kDims>
SINK_KERNEL(32 * kPassWarps)
KeyKernel(Layer<T> layer, BackwardInputs<T> x, T* dqkv_NW) {
  using S = PassShape<T, kDims>;
  const int64_t key_head = BlockY(), batch = BlockZ();
  const int first = static_cast<int>(BlockX()) * kPassRows, warp_row = Warp() * 16;
  const int groups = layer.heads / layer.key_value_heads;
  T* key = SharedMemory<T>();
  T* value = key + kPassRows * S::kStride;
  T* buffers = value + kPassRows * S::kStride;  // queries, gradients; queries, gradients
  auto* states = reinterpret_cast<RowState*>(buffers + 4 * S::kRows * S::kStride);
  const QueryTiles range(layer, S::kRows, first, kPassRows);
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
  LoadTile<kPassRows, kDims>(layer.Key(batch, first_query_head), layer.width, first, layer.length, layer.head_dim,
                             layer.vectorised, key);
  LoadTile<kPassRows, kDims>(layer.Value(batch, first_query_head), layer.width, first, layer.length, layer.head_dim,
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
    const bool all_seen = layer.SeesAll(tile, S::kRows, first, kPassRows);
    MakeScores</*kKeysDown=*/true>(layer, bias, all_seen, first + warp_row, tile, s);
    WithKind(layer.similarity, [&](auto kind) {
      constexpr Similarity kKind = decltype(kind)::value;
      SINK_UNROLL for (int n = 0; n < S::kN; ++n) {
        SINK_UNROLL for (int i = 0; i < 4; ++i) {
          const RowState state = states[buffer * S::kRows + 8 * n + LaneColumn() + i % 2];
          const float score = s[0][n][i];
          s[0][n][i] = WeightOf<kKind>(score, state);
          dp[0][n][i] = ScoreGradient<kKind>(score, s[0][n][i], state, dp[0][n][i]);
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

}  // namespace

template <typename T>
void KeyPass(void* stream, const Layer<T>& layer, const AttentionShape& shape, const BackwardInputs<T>& inputs,
             T* dqkv_NW) {
  WithDims<T>(shape.head_dim, [&](auto dims) {
    constexpr int kDims = decltype(dims)::value;
    using S = PassShape<T, kDims>;
    Launch("attention: keys' and values' gradient", &KeyKernel<T, kDims>,
           Grid{CeilDivide<int64_t>(shape.length, kPassRows), shape.key_value_heads, shape.batch}, 32 * kPassWarps,
           S::kTileBytes + S::kStateBytes, stream, layer, inputs, dqkv_NW);
  });
}

template void KeyPass(void*, const Layer<float>&, const AttentionShape&, const BackwardInputs<float>&, float*);
template void KeyPass(void*, const Layer<Bfloat16>&, const AttentionShape&, const BackwardInputs<Bfloat16>&, Bfloat16*);

}  // namespace sink::kernels::cuda
