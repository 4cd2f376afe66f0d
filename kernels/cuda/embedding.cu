// The embedding's gradient. Keys (id, row) are all different, so that any sort gives the one order; a bitonic network
// needs nothing but exchanges at fixed distances, in shared memory where they are short. Then a block adds up kTile
// neighbours of the sorted order: what belongs to one id alone goes to the table, the run that comes from the tile
// before or goes on to the next is left as a partial sum, which the block of the tile where the run begins collects.
// Bound: memory; dy read once, the rows of the table that occur read and written once.
#include "kernels/cuda/embedding.h"
#include "kernels/cuda/values.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kSortThreads = 512;
constexpr int64_t kSorted = 2 * kSortThreads;  // keys that a block sorts
constexpr int kTile = 32, kMaxThreads = 256;
constexpr uint64_t kNoKey = ~uint64_t{0};

SINK_DEVICE uint64_t KeyOf(int64_t id, int64_t row) {
  return static_cast<uint64_t>(id) << 32 | static_cast<uint64_t>(row);
}
SINK_DEVICE uint32_t IdOf(uint64_t key) { return static_cast<uint32_t>(key >> 32); }
SINK_DEVICE int64_t RowOf(uint64_t key) { return static_cast<int64_t>(key & 0xffffffffu); }

// One exchange of the bitonic network for sorted runs of `run` keys: index i with i + distance, up or down by i's run.
SINK_DEVICE void Exchange(uint64_t* keys, int64_t local, int64_t global, int64_t distance, int64_t run) {
  const uint64_t a = keys[local], b = keys[local + distance];
  const bool up = (global & run) == 0;
  if ((a > b) == up) {
    keys[local] = b;
    keys[local + distance] = a;
  }
}

// The pair'th index whose bit `distance` is 0.
SINK_DEVICE int64_t LowerOf(int64_t pair, int64_t distance) {
  return (pair & ~(distance - 1)) * 2 + (pair & (distance - 1));
}

// Exchanges within kSorted keys: of the runs from first_run to last_run, at their distances below kSorted. With ids the
// keys are made first.
SINK_KERNEL(kSortThreads)
SortKernel(const int64_t* id_R, int64_t rows, int64_t first_run, int64_t last_run, uint64_t* keys) {
  uint64_t* shared = SharedMemory<uint64_t>();
  const int64_t base = BlockX() * kSorted;
  for (int64_t i = Thread(); i < kSorted; i += kSortThreads) {
    if (id_R)
      shared[i] = base + i < rows ? KeyOf(id_R[base + i], base + i) : kNoKey;
    else
      shared[i] = keys[base + i];
  }
  for (int64_t run = first_run; run <= last_run; run *= 2)
    for (int64_t distance = run / 2 < kSorted ? run / 2 : kSorted / 2; distance > 0; distance /= 2) {
      Barrier();
      const int64_t local = LowerOf(Thread(), distance);
      Exchange(shared, local, base + local, distance, run);
    }
  Barrier();
  for (int64_t i = Thread(); i < kSorted; i += kSortThreads) keys[base + i] = shared[i];
}

// The exchanges at one distance of kSorted or more.
SINK_KERNEL(kSortThreads) ExchangeKernel(int64_t distance, int64_t run, uint64_t* keys) {
  const int64_t lower = LowerOf(BlockX() * kSortThreads + Thread(), distance);
  Exchange(keys, lower, lower, distance, run);
}

// Row `tile` of head_PC: the sum of a run that began before the tile; of tail_PC: of one that begins in it and goes on.
template <typename T, int kWidth>
SINK_KERNEL(kMaxThreads)
AddTilesKernel(const T* dy_RC, const uint64_t* keys, int64_t rows, int64_t columns, float* dtable_VC, float* head_PC,
               float* tail_PC) {
  const int64_t begin = BlockX() * kTile, end = begin + kTile < rows ? begin + kTile : rows;
  const int64_t c = (BlockY() * Threads() + Thread()) * kWidth;
  if (c >= columns) return;
  const uint32_t before = begin > 0 ? IdOf(keys[begin - 1]) : ~0u, after = end < rows ? IdOf(keys[end]) : ~0u;
  float sum[kWidth] = {};
  for (int64_t i = begin; i < end; ++i) {
    const uint64_t key = keys[i];
    const uint32_t id = IdOf(key), next = i + 1 < end ? IdOf(keys[i + 1]) : after;
    float dy[kWidth];
    Load(dy_RC + RowOf(key) * columns + c, dy);
    SINK_UNROLL for (int k = 0; k < kWidth; ++k) sum[k] += dy[k];
    if (next == id && i + 1 < end) continue;
    if (id == before) {
      Store(sum, head_PC + BlockX() * columns + c);
    } else if (next == id) {
      Store(sum, tail_PC + BlockX() * columns + c);
    } else {
      float* cell = dtable_VC + static_cast<int64_t>(id) * columns + c;
      float value[kWidth];
      Load(cell, value);
      SINK_UNROLL for (int k = 0; k < kWidth; ++k) value[k] += sum[k];
      Store(value, cell);
    }
    SINK_UNROLL for (int k = 0; k < kWidth; ++k) sum[k] = 0;
  }
}

template <int kWidth>
SINK_KERNEL(kMaxThreads)
AddRunsKernel(const uint64_t* keys, int64_t rows, int64_t columns, const float* head_PC, const float* tail_PC,
              float* dtable_VC) {
  const int64_t begin = BlockX() * kTile;
  int64_t end = begin + kTile;
  const int64_t c = (BlockY() * Threads() + Thread()) * kWidth;
  if (c >= columns || end >= rows) return;
  const uint32_t id = IdOf(keys[end - 1]);
  if (IdOf(keys[end]) != id || (begin > 0 && IdOf(keys[begin - 1]) == id)) return;  // none goes on, or none begins here
  float sum[kWidth], part[kWidth];
  Load(tail_PC + BlockX() * columns + c, sum);
  for (int64_t tile = BlockX() + 1; end < rows && IdOf(keys[end]) == id; ++tile) {
    Load(head_PC + tile * columns + c, part);
    SINK_UNROLL for (int k = 0; k < kWidth; ++k) sum[k] += part[k];
    end += kTile;
    if (end > rows || IdOf(keys[end - 1]) != id) break;
  }
  float* cell = dtable_VC + static_cast<int64_t>(id) * columns + c;
  Load(cell, part);
  SINK_UNROLL for (int k = 0; k < kWidth; ++k) part[k] += sum[k];
  Store(part, cell);
}

int64_t KeyCount(int64_t rows) {
  int64_t count = kSorted;
  while (count < rows) count *= 2;
  return count;
}

void Sort(void* stream, const int64_t* id_R, int64_t rows, uint64_t* keys) {
  const int64_t count = KeyCount(rows);
  const Grid blocks{count / kSorted};
  constexpr size_t kBytes = kSorted * sizeof(uint64_t);
  Launch("embedding: sort", &SortKernel, blocks, kSortThreads, kBytes, stream, id_R, rows, 2, kSorted, keys);
  for (int64_t run = 2 * kSorted; run <= count; run *= 2) {
    for (int64_t distance = run / 2; distance >= kSorted; distance /= 2)
      Launch("embedding: exchange", &ExchangeKernel, blocks, kSortThreads, 0, stream, distance, run, keys);
    Launch("embedding: sort", &SortKernel, blocks, kSortThreads, kBytes, stream, nullptr, rows, run, run, keys);
  }
}

}  // namespace

size_t EmbeddingWorkspace(int64_t rows, int64_t columns) {
  const int64_t tiles = CeilDivide<int64_t>(rows, kTile);
  return static_cast<size_t>(KeyCount(rows)) * sizeof(uint64_t) +
         static_cast<size_t>(2 * tiles * columns) * sizeof(float) + 16;
}

template <typename T>
void EmbeddingBackward(void* stream, const T* dy_RC, const int64_t* id_R, int64_t rows, int64_t columns,
                       float* dtable_VC, void* workspace) {
  Require(rows >= 0 && rows <= int64_t{1} << 30 && columns >= 1, "embedding: at most 2^30 rows of 1 value or more");
  if (rows == 0) return;
  auto* keys = static_cast<uint64_t*>(workspace);
  Sort(stream, id_R, rows, keys);
  const int64_t tiles = CeilDivide<int64_t>(rows, kTile);
  auto* head = reinterpret_cast<float*>(keys + KeyCount(rows));
  float* tail = head + CeilDivide<int64_t>(tiles * columns, 4) * 4;
  const bool vectorised = IsVectorised(dy_RC, columns) && IsVectorised(dtable_VC, columns) && IsVectorised(head, 0);
  constexpr int kWidth = kVectorWidth<T>;
  const int64_t packs = columns / (vectorised ? kWidth : 1);
  const int threads = static_cast<int>(packs < kMaxThreads ? CeilDivide<int64_t>(packs, 32) * 32 : kMaxThreads);
  const Grid grid{tiles, CeilDivide<int64_t>(packs, threads)};
  Launch("embedding: add", vectorised ? &AddTilesKernel<T, kWidth> : &AddTilesKernel<T, 1>, grid, threads, 0, stream,
         dy_RC, keys, rows, columns, dtable_VC, head, tail);
  Launch("embedding: add runs", vectorised ? &AddRunsKernel<kWidth> : &AddRunsKernel<1>, grid, threads, 0, stream, keys,
         rows, columns, head, tail, dtable_VC);
}

template void EmbeddingBackward(void*, const float*, const int64_t*, int64_t, int64_t, float*, void*);
template void EmbeddingBackward(void*, const Bfloat16*, const int64_t*, int64_t, int64_t, float*, void*);

}  // namespace sink::kernels::cuda
