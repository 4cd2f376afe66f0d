// RMSNorm: the threads of a block lie side by side along a row and take kRowsAtOnce rows at a time, which stay in
// registers between the sum and the result, so that each value is read and written once. Rows that are too long for
// that, or cannot be read in vectors, are walked along twice, the second time out of a cache. Bound: memory; forward 2
// values read and 2 written an element with a residual (1 and 1 without), backward 3 read and 1 written (2 and 1).
#include <algorithm>
#include <cmath>

#include "kernels/cuda/rmsnorm.h"
#include "kernels/cuda/values.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kMaxThreads = 512;
constexpr int kRowsAtOnce = 4;
constexpr int64_t kMaxPartials = 512;  // of dweight; fixed, so that sums do not depend on the device
constexpr int kTileColumns = 32, kTileRows = 8;

// The kWidth neighbours of a row that a thread has; values beyond the columns are 0, and so is a row that is null.
template <int kWidth>
using Pack = float[kWidth];
SINK_DEVICE int64_t ColumnOf(int width) { return static_cast<int64_t>(Thread()) * width; }
template <int kWidth, typename U>
SINK_DEVICE void LoadPack(const U* row, int64_t columns, Pack<kWidth>& x) {
  SINK_UNROLL for (int i = 0; i < kWidth; ++i) x[i] = 0.0f;
  if (row && ColumnOf(kWidth) < columns) Load(row + ColumnOf(kWidth), x);
}
template <int kWidth, typename U>
SINK_DEVICE void StorePack(const Pack<kWidth>& x, int64_t columns, U* row) {
  if (ColumnOf(kWidth) < columns) Store(x, row + ColumnOf(kWidth));
}

template <typename T, int kWidth>
SINK_KERNEL(kMaxThreads)
ForwardKernel(const T* x_RC, const T* residual_RC, const float* weight_C, float epsilon, int64_t rows, int64_t columns,
              T* sum_RC, T* y_RC, float* inverse_rms_R) {
  const int64_t first = BlockX() * kRowsAtOnce;
  Pack<kWidth> x[kRowsAtOnce], weight;
  float squares[kRowsAtOnce];
  SINK_UNROLL for (int r = 0; r < kRowsAtOnce; ++r) {
    const int64_t at = (first + r) * columns;
    const bool exists = first + r < rows;
    Pack<kWidth> residual;
    LoadPack<kWidth>(exists ? x_RC + at : nullptr, columns, x[r]);
    LoadPack<kWidth>(exists && residual_RC ? residual_RC + at : nullptr, columns, residual);
    squares[r] = 0;
    SINK_UNROLL for (int i = 0; i < kWidth; ++i) {
      if (residual_RC) x[r][i] = ToFloat(FromFloat<T>(x[r][i] + residual[i]));
      squares[r] += x[r][i] * x[r][i];
    }
    if (exists && residual_RC) StorePack<kWidth>(x[r], columns, sum_RC + at);
  }
  LoadPack<kWidth>(weight_C, columns, weight);
  BlockSum(squares, SharedMemory<float>());
  SINK_UNROLL for (int r = 0; r < kRowsAtOnce; ++r) {
    if (first + r >= rows) continue;
    const float inverse_rms = 1.0f / sqrtf(squares[r] / static_cast<float>(columns) + epsilon);
    SINK_UNROLL for (int i = 0; i < kWidth; ++i) x[r][i] *= inverse_rms * weight[i];
    StorePack<kWidth>(x[r], columns, y_RC + (first + r) * columns);
    if (Thread() == 0) inverse_rms_R[first + r] = inverse_rms;
  }
}

// A block takes every GridX-th group of kRowsAtOnce rows and leaves their share of dweight in its row of `partial`.
template <typename T, int kWidth>
SINK_KERNEL(kMaxThreads)
BackwardKernel(const T* dy_RC, const T* dsum_RC, const T* s_RC, const float* weight_C, const float* inverse_rms_R,
               int64_t rows, int64_t columns, T* ds_RC, float* partial_PC) {
  Pack<kWidth> weight, dweight = {};
  LoadPack<kWidth>(weight_C, columns, weight);
  SINK_ROLLED for (int64_t first = BlockX() * kRowsAtOnce; first < rows; first += GridX() * kRowsAtOnce) {
    Pack<kWidth> gradient[kRowsAtOnce], normal[kRowsAtOnce];
    float inverse_rms[kRowsAtOnce], along[kRowsAtOnce];
    SINK_UNROLL for (int r = 0; r < kRowsAtOnce; ++r) {
      const int64_t at = (first + r) * columns;
      const bool exists = first + r < rows;
      LoadPack<kWidth>(exists ? dy_RC + at : nullptr, columns, gradient[r]);
      LoadPack<kWidth>(exists ? s_RC + at : nullptr, columns, normal[r]);
      inverse_rms[r] = exists ? inverse_rms_R[first + r] : 0.0f;
      along[r] = 0;
      SINK_UNROLL for (int i = 0; i < kWidth; ++i) {
        normal[r][i] *= inverse_rms[r];
        dweight[i] += gradient[r][i] * normal[r][i];
        gradient[r][i] *= weight[i];
        along[r] += gradient[r][i] * normal[r][i];
      }
    }
    BlockSum(along, SharedMemory<float>());
    SINK_UNROLL for (int r = 0; r < kRowsAtOnce; ++r) {
      const int64_t at = (first + r) * columns;
      if (first + r >= rows) continue;
      const float mean = along[r] / static_cast<float>(columns);
      Pack<kWidth> other;
      LoadPack<kWidth>(dsum_RC ? dsum_RC + at : nullptr, columns, other);
      SINK_UNROLL for (int i = 0; i < kWidth; ++i) gradient[r][i] =
          inverse_rms[r] * (gradient[r][i] - normal[r][i] * mean) + other[i];
      StorePack<kWidth>(gradient[r], columns, ds_RC + at);
    }
  }
  StorePack<kWidth>(dweight, columns, partial_PC + BlockX() * columns);
}

// A block's row of any length: thread t has the columns t, t + Threads(), and so on, both times that it walks along.
template <typename T>
SINK_KERNEL(kMaxThreads)
LongForwardKernel(const T* x_RC, const T* residual_RC, const float* weight_C, float epsilon, int64_t columns, T* sum_RC,
                  T* y_RC, float* inverse_rms_R) {
  const int64_t at = BlockX() * columns;
  const T* summed_RC = residual_RC ? sum_RC : x_RC;
  float squares[1] = {};
  SINK_ROLLED for (int64_t c = Thread(); c < columns; c += Threads()) {
    float x = ToFloat(x_RC[at + c]);
    if (residual_RC) {
      sum_RC[at + c] = FromFloat<T>(x + ToFloat(residual_RC[at + c]));
      x = ToFloat(sum_RC[at + c]);
    }
    squares[0] += x * x;
  }
  BlockSum(squares, SharedMemory<float>());
  const float inverse_rms = 1.0f / sqrtf(squares[0] / static_cast<float>(columns) + epsilon);
  SINK_ROLLED for (int64_t c = Thread(); c < columns; c += Threads()) y_RC[at + c] =
      FromFloat<T>(ToFloat(summed_RC[at + c]) * (inverse_rms * weight_C[c]));
  if (Thread() == 0) inverse_rms_R[BlockX()] = inverse_rms;
}

// A block takes every GridX-th row; its row of `partial` is where it adds up.
template <typename T>
SINK_KERNEL(kMaxThreads)
LongBackwardKernel(const T* dy_RC, const T* dsum_RC, const T* s_RC, const float* weight_C, const float* inverse_rms_R,
                   int64_t rows, int64_t columns, T* ds_RC, float* partial_PC) {
  float* dweight = partial_PC + BlockX() * columns;
  SINK_ROLLED for (int64_t c = Thread(); c < columns; c += Threads()) dweight[c] = 0.0f;
  SINK_ROLLED for (int64_t row = BlockX(); row < rows; row += GridX()) {
    const int64_t at = row * columns;
    const float inverse_rms = inverse_rms_R[row];
    float along[1] = {};
    SINK_ROLLED for (int64_t c = Thread(); c < columns; c += Threads()) {
      const float gradient = ToFloat(dy_RC[at + c]), normal = ToFloat(s_RC[at + c]) * inverse_rms;
      dweight[c] += gradient * normal;
      along[0] += gradient * weight_C[c] * normal;
    }
    BlockSum(along, SharedMemory<float>());
    const float mean = along[0] / static_cast<float>(columns);
    SINK_ROLLED for (int64_t c = Thread(); c < columns; c += Threads()) {
      const float gradient = ToFloat(dy_RC[at + c]) * weight_C[c], normal = ToFloat(s_RC[at + c]) * inverse_rms;
      const float other = dsum_RC ? ToFloat(dsum_RC[at + c]) : 0.0f;
      ds_RC[at + c] = FromFloat<T>(inverse_rms * (gradient - normal * mean) + other);
    }
  }
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

int ThreadsFor(int64_t columns, int values) {
  return static_cast<int>(CeilDivide(CeilDivide<int64_t>(columns, values), int64_t{32}) * 32);
}
size_t SharedBytes(int threads, int rows) { return static_cast<size_t>(threads / 32 * rows) * sizeof(float); }
int64_t Partials(int64_t rows) { return std::min(CeilDivide<int64_t>(rows, kRowsAtOnce), kMaxPartials); }

void CheckSizes(int64_t rows, int64_t columns) {
  Require(rows >= 0 && columns >= 1, "RMSNorm: rows of 1 value or more");
}
// Of a block that walks along its row.
int ThreadsAlong(int64_t columns) { return std::min(ThreadsFor(columns, 1), kMaxThreads); }

}  // namespace

int64_t RmsNormWorkspace(int64_t rows, int64_t columns) { return Partials(rows) * columns; }

template <typename T>
void RmsNormForward(void* stream, const T* x_RC, const T* residual_RC, const float* weight_C, float epsilon,
                    int64_t rows, int64_t columns, T* sum_RC, T* y_RC, float* inverse_rms_R) {
  CheckSizes(rows, columns);
  if (rows == 0) return;
  constexpr int kWidth = kVectorWidth<T>;
  if (IsVectorised(x_RC, columns) && IsVectorised(residual_RC, columns) && IsVectorised(sum_RC, columns) &&
      IsVectorised(y_RC, columns) && IsVectorised(weight_C, columns) && columns <= kMaxThreads * kWidth) {
    const int threads = ThreadsFor(columns, kWidth);
    Launch("RMSNorm forward", &ForwardKernel<T, kWidth>, Grid{CeilDivide<int64_t>(rows, kRowsAtOnce)}, threads,
           SharedBytes(threads, kRowsAtOnce), stream, x_RC, residual_RC, weight_C, epsilon, rows, columns, sum_RC, y_RC,
           inverse_rms_R);
  } else {
    const int threads = ThreadsAlong(columns);
    Launch("RMSNorm forward", &LongForwardKernel<T>, Grid{rows}, threads, SharedBytes(threads, 1), stream, x_RC,
           residual_RC, weight_C, epsilon, columns, sum_RC, y_RC, inverse_rms_R);
  }
}

template <typename T>
void RmsNormBackward(void* stream, const T* dy_RC, const T* dsum_RC, const T* s_RC, const float* weight_C,
                     const float* inverse_rms_R, int64_t rows, int64_t columns, T* ds_RC, float* dweight_C,
                     float* workspace) {
  CheckSizes(rows, columns);
  if (rows == 0) return;
  constexpr int kWidth = kVectorWidth<T>;
  const int64_t partials = Partials(rows);
  if (IsVectorised(dy_RC, columns) && IsVectorised(dsum_RC, columns) && IsVectorised(s_RC, columns) &&
      IsVectorised(ds_RC, columns) && IsVectorised(weight_C, columns) && IsVectorised(workspace, columns) &&
      columns <= kMaxThreads * kWidth) {
    const int threads = ThreadsFor(columns, kWidth);
    Launch("RMSNorm backward", &BackwardKernel<T, kWidth>, Grid{partials}, threads, SharedBytes(threads, kRowsAtOnce),
           stream, dy_RC, dsum_RC, s_RC, weight_C, inverse_rms_R, rows, columns, ds_RC, workspace);
  } else {
    const int threads = ThreadsAlong(columns);
    Launch("RMSNorm backward", &LongBackwardKernel<T>, Grid{partials}, threads, SharedBytes(threads, 1), stream, dy_RC,
           dsum_RC, s_RC, weight_C, inverse_rms_R, rows, columns, ds_RC, workspace);
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
