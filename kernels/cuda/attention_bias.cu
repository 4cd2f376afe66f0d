// The gradient of a learned offset bias: the sum, over all pairs of a query and a key so far apart, of the gradient of
// their score. A block owns a diagonal of square tiles, whose cells lie as far apart in each, so that the lanes add up
// tile after tile in registers and sum along the diagonals of one tile at the end: every sum has one owner and one
// order. Bound: products, 4 D floating-point operations for each pair that is seen.
#include <algorithm>

#include "kernels/cuda/attention_passes.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kWarps = 4, kSide = 16 * kWarps;  // of a tile
constexpr int kOffsets = 2 * kSide;             // key - query + kSide - 1 within a tile: all but the last
constexpr int kReduceThreads = 128;

template <typename T, int kDims>
constexpr size_t kTileBytes = Tile<T, kDims>::Bytes(4 * kSide);
static_assert(kTileBytes<Bfloat16, 32> >= sizeof(float) * kSide * (kSide + 1), "the cells take the tiles' place");

template <typename T>
SINK_DEVICE bool SeesSome(const Layer<T>& layer, int first_query, int first_key) {
  return first_key < layer.prefix ||
         (first_key < first_query + kSide && (layer.window == 0 || first_key + kSide - 1 > first_query - layer.window));
}

// partial: kOffsets floats for each head, sequence and diagonal, in that order; diagonal d has the queries of tile
// t + d - ahead and the keys of tile t.
template <typename T, int kDims>
SINK_KERNEL(32 * kWarps)
DiagonalKernel(Layer<T> layer, BackwardInputs<T> x, int64_t ahead, float* partial) {
  constexpr int kStride = Tile<T, kDims>::kStride;
  const int64_t head = BlockY(), batch = BlockZ();
  const int tiles = (layer.length + kSide - 1) / kSide, distance = static_cast<int>(BlockX() - ahead);
  T* query = SharedMemory<T>();
  T *gradient = query + kSide * kStride, *key = gradient + kSide * kStride, *value = key + kSide * kStride;
  const int64_t output_stride = static_cast<int64_t>(layer.heads) * layer.head_dim;
  const float* bias = layer.Bias(head);
  float sum[1][kSide / 8][4] = {};
  const int begin = distance > 0 ? distance : 0, end = distance < 0 ? tiles + distance : tiles;
  SINK_ROLLED for (int tile = begin; tile < end; ++tile) {
    const int first = tile * kSide, first_key = (tile - distance) * kSide;
    if (!SeesSome(layer, first, first_key)) continue;
    LoadTile<kSide, kDims>(layer.Query(batch, head), layer.width, first, layer.length, layer.head_dim, layer.vectorised,
                           query);
    LoadTile<kSide, kDims>(x.gradient_NC + OutputRow(layer, batch, 0, head), output_stride, first, layer.length,
                           layer.head_dim, layer.vectorised, gradient);
    LoadTile<kSide, kDims>(layer.Key(batch, head), layer.width, first_key, layer.length, layer.head_dim,
                           layer.vectorised, key);
    LoadTile<kSide, kDims>(layer.Value(batch, head), layer.width, first_key, layer.length, layer.head_dim,
                           layer.vectorised, value);
    AsyncCommit();
    RowState state[2];
    SINK_UNROLL for (int half = 0; half < 2; ++half) {
      const int position = first + Warp() * 16 + LaneRow() + 8 * half;
      const int64_t row = (batch * layer.heads + head) * layer.length + position;
      const bool exists = position < layer.length;
      state[half] = StateOf(layer, exists ? x.row_BHT[row] : 0.0f, exists ? x.dot_BHT[row] : 0.0f);
    }
    AsyncWait<0>();
    Barrier();  // the tiles are there
    float s[1][kSide / 8][4] = {}, dp[1][kSide / 8][4] = {};
    AddTransposedProduct<kDims>(query + Warp() * 16 * kStride, key, s);
    AddTransposedProduct<kDims>(gradient + Warp() * 16 * kStride, value, dp);
    const bool all_seen = layer.SeesAll(first, kSide, first_key, kSide);
    MakeScores</*kKeysDown=*/false>(layer, bias, all_seen, first + Warp() * 16, first_key, s);
    WithKind(layer.similarity, [&](auto kind) {
      constexpr Similarity kKind = decltype(kind)::value;
      SINK_UNROLL for (int n = 0; n < kSide / 8; ++n) {
        SINK_UNROLL for (int i = 0; i < 4; ++i) {
          const float weight = WeightOf<kKind>(s[0][n][i], state[i / 2]);
          sum[0][n][i] += ScoreGradient<kKind>(s[0][n][i], weight, state[i / 2], dp[0][n][i]);
        }
      }
    });
    Barrier();  // nobody reads the tiles, which the next round and the cells fill
  }
  auto* cells = reinterpret_cast<float*>(query);
  ForCells(sum, [&](float cell, int, int, int row, int column) {
    cells[(Warp() * 16 + row) * (kSide + 1) + column] = cell;
  });
  Barrier();
  float* out = partial + ((head * GridZ() + batch) * GridX() + BlockX()) * kOffsets;
  for (int offset = Thread(); offset < kOffsets; offset += Threads()) {
    float total = 0;
    for (int row = 0; row < kSide; ++row) {
      const int column = row + offset - (kSide - 1);
      if (column >= 0 && column < kSide) total += cells[row * (kSide + 1) + column];
    }
    out[offset] = total;
  }
}

// The two diagonals of tiles in which a key lies so far from a query, of all sequences.
SINK_KERNEL(kReduceThreads)
AddDiagonalsKernel(const float* partial, int64_t batch, int64_t diagonals, int64_t ahead, int length, float* dbias_HS) {
  const int64_t head = BlockY(), offsets = 2 * static_cast<int64_t>(length) - 1;
  const int64_t offset = BlockX() * kReduceThreads + Thread();
  if (offset >= offsets) return;
  const int64_t back = length - 1 - offset;  // query - key, in (-length, length)
  const int64_t nearer = (back + length * int64_t{kSide}) / kSide - length, within = nearer * kSide - back;
  float sum = 0;
  for (int64_t b = 0; b < batch; ++b) {
    const float* of_sequence = partial + (head * batch + b) * diagonals * kOffsets;
    // key - query within a tile is nearer * kSide - back in (-kSide, 0] there, and kSide more one diagonal on.
    for (int next = 0; next < 2; ++next) {
      const int64_t diagonal = nearer + next + ahead, at = within + next * kSide + kSide - 1;
      if (diagonal >= 0 && diagonal < diagonals) sum += of_sequence[diagonal * kOffsets + at];
    }
  }
  dbias_HS[head * offsets + offset] = sum;
}

int64_t TilesOf(int64_t length) { return CeilDivide<int64_t>(length, kSide); }

}  // namespace

int64_t OffsetBiasWorkspace(const AttentionShape& shape) {
  return shape.batch * shape.heads * (2 * TilesOf(shape.length) - 1) * kOffsets;
}

template <typename T>
void OffsetBiasGradient(void* stream, const Layer<T>& layer, const AttentionShape& shape,
                        const BackwardInputs<T>& inputs, float* dbias_HS, float* workspace) {
  // Tiles of keys that lie after a query's own and may be seen: those of the prefix.
  const int64_t ahead = layer.prefix > 0 ? (layer.prefix - 1) / kSide : 0;
  const int64_t diagonals = TilesOf(shape.length) + ahead;
  WithDims<T>(shape.head_dim, [&](auto dims) {
    constexpr int kDims = decltype(dims)::value;
    Launch("attention: bias's gradient by tiles", &DiagonalKernel<T, kDims>, Grid{diagonals, shape.heads, shape.batch},
           32 * kWarps, kTileBytes<T, kDims>, stream, layer, inputs, ahead, workspace);
  });
  Launch("attention: bias's gradient", &AddDiagonalsKernel,
         Grid{CeilDivide<int64_t>(2 * shape.length - 1, kReduceThreads), shape.heads}, kReduceThreads, 0, stream,
         workspace, shape.batch, diagonals, ahead, layer.length, dbias_HS);
}

template void OffsetBiasGradient(void*, const Layer<float>&, const AttentionShape&, const BackwardInputs<float>&,
                                 float*, float*);
template void OffsetBiasGradient(void*, const Layer<Bfloat16>&, const AttentionShape&, const BackwardInputs<Bfloat16>&,
                                 float*, float*);

}  // namespace sink::kernels::cuda
