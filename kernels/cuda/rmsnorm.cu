// RMSNorm: the threads of a block lie side by side along a row and take kRows rows at a time, which stay in registers
// between the sum and the result, so that each value is read and written once. Bound: memory; forward 2 values read and
// 2 written an element with a residual (1 and 1 without), backward 3 read and 1 written (2 and 1).
#include <algorithm>
#include <cmath>

#include "kernels/cuda/rmsnorm.h"
#include "kernels/cuda/values.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kMaxThreads = 512;
constexpr int kFallbackPacks = 8;  // single values, for rows that cannot be read in vectors
constexpr int64_t kMaxColumns = int64_t{kMaxThreads} * kFallbackPacks;
constexpr int64_t kMaxPartials = 512;  // of dweight; fixed, so that sums do not depend on the device
constexpr int kTileColumns = 32, kTileRows = 8;

// kWidth neighbours a load, kPacks loads a thread and row.
template <typename T, int kWidth, int kPacks, int kRows>
struct Shape {
  static constexpr int kValues = kWidth * kPacks;
  using Row = float[kValues];

  SINK_DEVICE static int64_t Column(int pack) { return (static_cast<int64_t>(pack) * Threads() + Thread()) * kWidth; }
  // Values beyond the columns are 0.
  template <typename U>
  SINK_DEVICE static void LoadRow(const U* row, int64_t columns, Row& x) {
    SINK_UNROLL for (int pack = 0; pack < kPacks; ++pack) {
      float part[kWidth] = {};
      if (row && Column(pack) < columns) Load(row + Column(pack), part);
      SINK_UNROLL for (int i = 0; i < kWidth; ++i) x[pack * kWidth + i] = part[i];
    }
  }
  template <typename U>
  SINK_DEVICE static void StoreRow(const Row& x, int64_t columns, U* row) {
    SINK_UNROLL for (int pack = 0; pack < kPacks; ++pack) {
      float part[kWidth];
      SINK_UNROLL for (int i = 0; i < kWidth; ++i) part[i] = x[pack * kWidth + i];
      if (Column(pack) < columns) Store(part, row + Column(pack));
    }
  }
};

template <typename T, int kWidth, int kPacks, int kRows>
SINK_KERNEL(kMaxThreads)
ForwardKernel(const T* x_RC, const T* residual_RC, const float* weight_C, float epsilon, int64_t rows, int64_t columns,
              T* sum_RC, T* y_RC, float* inverse_rms_R) {
  using S = Shape<T, kWidth, kPacks, kRows>;
  const int64_t first = BlockX() * kRows;
  typename S::Row x[kRows], weight;
  float squares[kRows];
  SINK_UNROLL for (int r = 0; r < kRows; ++r) {
    const int64_t at = (first + r) * columns;
    const bool exists = first + r < rows;
    typename S::Row residual;
    S::LoadRow(exists ? x_RC + at : nullptr, columns, x[r]);
    S::LoadRow(exists && residual_RC ? residual_RC + at : nullptr, columns, residual);
    squares[r] = 0;
    SINK_UNROLL for (int i = 0; i < S::kValues; ++i) {
      if (residual_RC) x[r][i] = ToFloat(FromFloat<T>(x[r][i] + residual[i]));
      squares[r] += x[r][i] * x[r][i];
    }
    if (exists && residual_RC) S::StoreRow(x[r], columns, sum_RC + at);
  }
  S::LoadRow(weight_C, columns, weight);
  BlockSum(squares, SharedMemory<float>());
  SINK_UNROLL for (int r = 0; r < kRows; ++r) {
    if (first + r >= rows) continue;
    const float inverse_rms = 1.0f / sqrtf(squares[r] / static_cast<float>(columns) + epsilon);
    SINK_UNROLL for (int i = 0; i < S::kValues; ++i) x[r][i] *= inverse_rms * weight[i];
    S::StoreRow(x[r], columns, y_RC + (first + r) * columns);
    if (Thread() == 0) inverse_rms_R[first + r] = inverse_rms;
  }
}

// A block takes every GridX-th group of kRows rows and leaves their share of dweight in its row of `partial`.
template <typename T, int kWidth, int kPacks, int kRows>
SINK_KERNEL(kMaxThreads)
BackwardKernel(const T* dy_RC, const T* dsum_RC, const T* s_RC, const float* weight_C, const float* inverse_rms_R,
               int64_t rows, int64_t columns, T* ds_RC, float* partial_PC) {
  using S = Shape<T, kWidth, kPacks, kRows>;
  typename S::Row weight, dweight = {};
  S::LoadRow(weight_C, columns, weight);
  SINK_ROLLED for (int64_t first = BlockX() * kRows; first < rows; first += GridX() * kRows) {
    typename S::Row gradient[kRows], normal[kRows];
    float inverse_rms[kRows], along[kRows];
    SINK_UNROLL for (int r = 0; r < kRows; ++r) {
      const int64_t at = (first + r) * columns;
      const bool exists = first + r < rows;
      S::LoadRow(exists ? dy_RC + at : nullptr, columns, gradient[r]);
      S::LoadRow(exists ? s_RC + at : nullptr, columns, normal[r]);
      inverse_rms[r] = exists ? inverse_rms_R[first + r] : 0.0f;
      along[r] = 0;
      SINK_UNROLL for (int i = 0; i < S::kValues; ++i) {
        normal[r][i] *= inverse_rms[r];
        dweight[i] += gradient[r][i] * normal[r][i];
        gradient[r][i] *= weight[i];
        along[r] += gradient[r][i] * normal[r][i];
      }
    }
    BlockSum(along, SharedMemory<float>());
    SINK_UNROLL for (int r = 0; r < kRows; ++r) {
      const int64_t at = (first + r) * columns;
      if (first + r >= rows) continue;
      const float mean = along[r] / static_cast<float>(columns);
      typename S::Row other;
      S::LoadRow(dsum_RC ? dsum_RC + at : nullptr, columns, other);
      SINK_UNROLL for (int i = 0; i < S::kValues; ++i) gradient[r][i] =
          inverse_rms[r] * (gradient[r][i] - normal[r][i] * mean) + other[i];
      S::StoreRow(gradient[r], columns, ds_RC + at);
    }
  }
  S::StoreRow(dweight, columns, partial_PC + BlockX() * columns);
}

// dweight_C += sum of the rows of partial_PC: a warp along kTileColumns columns, kTileRows warps down the rows.
SINK_KERNEL(32 * kTileRows)
AddPartialsKernel(const float* partial_PC, int64_t partials, int64_t columns, float* dweight_C) {
  float* shared = SharedMemory<float>();
  const int64_t c = BlockX() * kTileColumns + Lane();
  float sum = 0;
  if (c < columns)
    for (int64_t p = Warp(); p < partials; p += kTileRows) sum += partial_PC[p * columns + c];
  shared[Warp() * kTileColumns + Lane()] = sum;
  Barrier();
  if (Warp() != 0 || c >= columns) return;
  float total = 0;
  for (int warp = 0; warp < kTileRows; ++warp) total += shared[warp * kTileColumns + Lane()];
  dweight_C[c] += total;
}

constexpr int kRowsAtOnce = 4;

int ThreadsFor(int64_t columns, int values) {
  return static_cast<int>(CeilDivide(CeilDivide<int64_t>(columns, values), int64_t{32}) * 32);
}
size_t SharedBytes(int threads, int rows) { return static_cast<size_t>(threads / 32 * rows) * sizeof(float); }
int64_t Partials(int64_t rows) { return std::min(CeilDivide<int64_t>(rows, kRowsAtOnce), kMaxPartials); }

void CheckColumns(int64_t rows, int64_t columns) {
  Require(rows >= 0 && columns >= 1 && columns <= kMaxColumns, "RMSNorm: rows of 1 to 4096 values");
}

}  // namespace

int64_t RmsNormWorkspace(int64_t rows, int64_t columns) { return Partials(rows) * columns; }

template <typename T>
void RmsNormForward(void* stream, const T* x_RC, const T* residual_RC, const float* weight_C, float epsilon,
                    int64_t rows, int64_t columns, T* sum_RC, T* y_RC, float* inverse_rms_R) {
  CheckColumns(rows, columns);
  if (rows == 0) return;
  constexpr int kWidth = kVectorWidth<T>;
  if (IsVectorised(x_RC, columns) && IsVectorised(residual_RC, columns) && IsVectorised(sum_RC, columns) &&
      IsVectorised(y_RC, columns) && IsVectorised(weight_C, columns) && columns <= kMaxThreads * kWidth) {
    const int threads = ThreadsFor(columns, kWidth);
    Launch("RMSNorm forward", &ForwardKernel<T, kWidth, 1, kRowsAtOnce>, Grid{CeilDivide<int64_t>(rows, kRowsAtOnce)},
           threads, SharedBytes(threads, kRowsAtOnce), stream, x_RC, residual_RC, weight_C, epsilon, rows, columns,
           sum_RC, y_RC, inverse_rms_R);
  } else {
    const int threads = ThreadsFor(columns, kFallbackPacks);
    Launch("RMSNorm forward", &ForwardKernel<T, 1, kFallbackPacks, 1>, Grid{rows}, threads, SharedBytes(threads, 1),
           stream, x_RC, residual_RC, weight_C, epsilon, rows, columns, sum_RC, y_RC, inverse_rms_R);
  }
}

template <typename T>
void RmsNormBackward(void* stream, const T* dy_RC, const T* dsum_RC, const T* s_RC, const float* weight_C,
                     const float* inverse_rms_R, int64_t rows, int64_t columns, T* ds_RC, float* dweight_C,
                     float* workspace) {
  CheckColumns(rows, columns);
  if (rows == 0) return;
  constexpr int kWidth = kVectorWidth<T>;
  const int64_t partials = Partials(rows);
  if (IsVectorised(dy_RC, columns) && IsVectorised(dsum_RC, columns) && IsVectorised(s_RC, columns) &&
      IsVectorised(ds_RC, columns) && IsVectorised(weight_C, columns) && IsVectorised(workspace, columns) &&
      columns <= kMaxThreads * kWidth) {
    const int threads = ThreadsFor(columns, kWidth);
    Launch("RMSNorm backward", &BackwardKernel<T, kWidth, 1, kRowsAtOnce>, Grid{partials}, threads,
           SharedBytes(threads, kRowsAtOnce), stream, dy_RC, dsum_RC, s_RC, weight_C, inverse_rms_R, rows, columns,
           ds_RC, workspace);
  } else {
    const int threads = ThreadsFor(columns, kFallbackPacks);
    Launch("RMSNorm backward", &BackwardKernel<T, 1, kFallbackPacks, 1>, Grid{partials}, threads,
           SharedBytes(threads, 1), stream, dy_RC, dsum_RC, s_RC, weight_C, inverse_rms_R, rows, columns, ds_RC,
           workspace);
  }
  Launch("RMSNorm weight gradient", &AddPartialsKernel, Grid{CeilDivide<int64_t>(columns, kTileColumns)},
         32 * kTileRows, kTileRows * kTileColumns * sizeof(float), stream, workspace, partials, columns, dweight_C);
}

template void RmsNormForward(void*, const float*, const float*, const float*, float, int64_t, int64_t, float*, float*,
                             float*);
template void RmsNormForward(void*, const Bfloat16*, const Bfloat16*, const float*, float, int64_t, int64_t, Bfloat16*,
                             Bfloat16*, float*);
template void RmsNormBackward(void*, const float*, const float*, const float*, const float*, const float*, int64_t,
                              int64_t, float*, float*, float*);
template void RmsNormBackward(void*, const Bfloat16*, const Bfloat16*, const Bfloat16*, const float*, const float*,
                              int64_t, int64_t, Bfloat16*, float*, float*);

}  // namespace sink::kernels::cuda
