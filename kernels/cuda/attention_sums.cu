// Column sums of attention: a block owns a tile of keys of one head and walks over the queries that see them. Scores
// are made transposed, keys down, so that a sum over queries is a sum along a row. Bound: products, 2 D floating-point
// operations for each pair that is seen.
#include <algorithm>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_tiles.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kWarps = 4, kOwned = 16 * kWarps, kRows = 32, kN = kRows / 8;

template <typename T, int kDims>
SINK_KERNEL(32 * kWarps)
SumsKernel(Layer<T> layer, const float* row_BHT, float* sums_BHT) {
  constexpr int kStride = Tile<T, kDims>::kStride;
  const int64_t head = BlockY(), batch = BlockZ();
  const int first = static_cast<int>(BlockX()) * kOwned, warp_row = Warp() * 16;
  T* key = SharedMemory<T>();
  T* buffers = key + kOwned * kStride;
  auto* states = reinterpret_cast<RowState*>(buffers + 2 * kRows * kStride);
  const float* rows = row_BHT + (batch * layer.heads + head) * layer.length;
  const T* queries = layer.Query(batch, head);
  const auto load = [&](int tile, int buffer) {
    LoadTile<kRows, kDims>(queries, layer.width, tile * kRows, layer.length, layer.head_dim, layer.vectorised,
                           buffers + buffer * kRows * kStride);
    if (Thread() < kRows) {
      const int position = tile * kRows + Thread();
      states[buffer * kRows + Thread()] = StateOf(layer, position < layer.length ? rows[position] : 0.0f, 0.0f);
    }
  };
  const QueryTiles range(layer, kRows, first, kOwned);
  LoadTile<kOwned, kDims>(layer.Key(batch, head), layer.width, first, layer.length, layer.head_dim, layer.vectorised,
                          key);
  load(range.first, 0);
  AsyncCommit();
  const float* bias = layer.Bias(head);
  float sum[2] = {0, 0};
  int buffer = 0;
  SINK_ROLLED for (int tile = range.first; tile < range.last; ++tile) {
    if (tile + 1 < range.last) load(tile + 1, 1 - buffer);
    AsyncCommit();
    AsyncWait<1>();
    Barrier();  // this tile is there
    float s[1][kN][4] = {};
    AddTransposedProduct<kDims>(key + warp_row * kStride, buffers + buffer * kRows * kStride, s);
    const bool all_seen = layer.SeesAll(tile * kRows, kRows, first, kOwned);
    MakeScores</*kKeysDown=*/true>(layer, bias, all_seen, first + warp_row, tile * kRows, s);
    WithKind(layer.similarity, [&](auto kind) {
      ForCells(s, [&](float score, int, int half, int, int column) {
        sum[half] += WeightOf<decltype(kind)::value>(score, states[buffer * kRows + column]);
      });
    });
    Barrier();  // nobody reads this buffer, which the next round fills
    buffer = 1 - buffer;
  }
  AsyncWait<0>();
  SINK_UNROLL for (int half = 0; half < 2; ++half) {
    const int position = first + warp_row + LaneRow() + 8 * half;
    const float total = RowSum(sum[half]);
    if (Lane() % 4 == 0 && position < layer.length)
      sums_BHT[(batch * layer.heads + head) * layer.length + position] = total;
  }
}

// The column's sum of one head and sequence: a warp a query.
template <typename T>
SINK_KERNEL(32 * kWarps)
ColumnKernel(Layer<T> layer, const float* row_BHT, float* column_BH) {
  const int64_t head = BlockX(), batch = BlockY();
  const AttentionTerms& terms = layer.terms;
  float sum[1] = {0};
  for (int position = Warp(); position < layer.length; position += kWarps) {
    const T* query = layer.Query(batch, head) + position * layer.width;
    float product = 0;
    if (terms.column_key_HD)
      for (int d = Lane(); d < layer.head_dim; d += 32)
        product += ToFloat(query[d]) * terms.column_key_HD[head * layer.head_dim + d];
    const float score = WarpSum(product) * layer.scale + (terms.column_logit_H ? terms.column_logit_H[head] : 0.0f);
    const float weight = FastExp2((score - row_BHT[(batch * layer.heads + head) * layer.length + position]) * kLog2E);
    if (Lane() == 0) sum[0] += weight;
  }
  BlockSum(sum, SharedMemory<float>());
  if (Thread() == 0) column_BH[batch * layer.heads + head] = sum[0];
}

}  // namespace

template <typename T>
void AttentionColumnSums(void* stream, const T* qkv_NW, const float* row_BHT, const AttentionShape& shape,
                         const AttentionRule& rule, const AttentionTerms& terms, float* sums_BHT, float* column_BH) {
  const Layer<T> layer = MakeLayer(qkv_NW, shape, rule, terms);
  WithDims<T>(shape.head_dim, [&](auto dims) {
    constexpr int kDims = decltype(dims)::value;
    Launch("attention: column sums", &SumsKernel<T, kDims>,
           Grid{CeilDivide<int64_t>(shape.length, kOwned), shape.heads, shape.batch}, 32 * kWarps,
           Tile<T, kDims>::Bytes(kOwned + 2 * kRows) + 2 * kRows * sizeof(RowState), stream, layer, row_BHT, sums_BHT);
  });
  if (column_BH && layer.has_column)
    Launch("attention: the column's sum", &ColumnKernel<T>, Grid{shape.heads, shape.batch}, 32 * kWarps,
           kWarps * sizeof(float), stream, layer, row_BHT, column_BH);
}

template void AttentionColumnSums(void*, const float*, const float*, const AttentionShape&, const AttentionRule&,
                                  const AttentionTerms&, float*, float*);
template void AttentionColumnSums(void*, const Bfloat16*, const float*, const AttentionShape&, const AttentionRule&,
                                  const AttentionTerms&, float*, float*);

}  // namespace sink::kernels::cuda
