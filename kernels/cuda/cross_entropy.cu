// Cross-entropy: a block a row. The first sweep keeps, in each thread, the largest logit and the sum of exponentials
// below it; the second writes the gradient, from the row's end backwards, because its end is what the cache still has.
// Bound: memory; a logit read once (twice from the L2 cache) and written once.
#include <cmath>

#include "kernels/cuda/cross_entropy.h"
#include "kernels/cuda/values.h"

namespace sink::kernels::cuda {
namespace {

constexpr int kThreads = 512;
constexpr float kLog2E = 1.44269504f;

template <typename T>
SINK_DEVICE float Exponential(float x) {
  if constexpr (sizeof(T) == sizeof(float)) return expf(x);
  return FastExp2(x * kLog2E);
}

// sum * exp(largest) of two parts.
struct Part {
  float largest, sum;
};
template <typename T>
SINK_DEVICE Part Merge(const Part& a, const Part& b) {
  const float largest = fmaxf(a.largest, b.largest);
  if (largest == -INFINITY) return {largest, a.sum + b.sum};
  return {largest, a.sum * Exponential<T>(a.largest - largest) + b.sum * Exponential<T>(b.largest - largest)};
}

template <typename T, int kWidth>
SINK_DEVICE Part SumOfRow(const T* row, int64_t vocabulary) {
  Part part{-INFINITY, 0};
  for (int64_t v = Thread() * kWidth; v < vocabulary; v += kThreads * kWidth) {
    float x[kWidth];
    Load(row + v, x);
    Part pack{x[0], 0};
    SINK_UNROLL for (int i = 1; i < kWidth; ++i) pack.largest = fmaxf(pack.largest, x[i]);
    const float shift = pack.largest == -INFINITY ? 0.0f : pack.largest;  // where all are hidden
    SINK_UNROLL for (int i = 0; i < kWidth; ++i) pack.sum += Exponential<T>(x[i] - shift);
    part = Merge<T>(part, pack);
  }
  SINK_UNROLL for (int mask = 16; mask > 0; mask /= 2) {
    const Part other{ShuffleXor(part.largest, mask), ShuffleXor(part.sum, mask)};
    part = Merge<T>(part, other);
  }
  Part* shared = SharedMemory<Part>();
  if (Lane() == 0) shared[Warp()] = part;
  Barrier();
  part = shared[0];
  for (int warp = 1; warp < kThreads / 32; ++warp) part = Merge<T>(part, shared[warp]);
  return part;
}

template <typename T, int kWidth, bool kGradient>
SINK_KERNEL(kThreads)
CrossEntropyKernel(T* logits_RV, const int64_t* target_R, int64_t vocabulary, float scale, float* loss_R) {
  T* row = logits_RV + BlockX() * vocabulary;
  const int64_t target = target_R[BlockX()];
  const bool known = target >= 0 && target < vocabulary;
  const float at_target = known ? ToFloat(row[target]) : NAN;  // before the barrier behind which it is overwritten
  const Part part = SumOfRow<T, kWidth>(row, vocabulary);
  if (Thread() == 0) loss_R[BlockX()] = logf(part.sum) + part.largest - at_target;
  if (!kGradient) return;
  const float factor = scale / part.sum;
  const int64_t packs = vocabulary / kWidth;
  for (int64_t pack = packs - 1 - Thread(); pack >= 0; pack -= kThreads) {
    float x[kWidth];
    Load(row + pack * kWidth, x);
    SINK_UNROLL for (int i = 0; i < kWidth; ++i) {
      x[i] = Exponential<T>(x[i] - part.largest) * factor;
      if (pack * kWidth + i == target) x[i] -= scale;
    }
    Store(x, row + pack * kWidth);
  }
}

template <typename T, bool kGradient>
void Run(void* stream, T* logits, const int64_t* target, int64_t rows, int64_t vocabulary, float scale, float* loss) {
  Require(rows >= 0 && vocabulary >= 1, "cross-entropy: rows of 1 logit or more");
  if (rows == 0) return;
  const auto kernel = IsVectorised(logits, vocabulary) ? &CrossEntropyKernel<T, kVectorWidth<T>, kGradient>
                                                       : &CrossEntropyKernel<T, 1, kGradient>;
  Launch("cross-entropy", kernel, Grid{rows}, kThreads, kThreads / 32 * sizeof(Part), stream, logits, target,
         vocabulary, scale, loss);
}

}  // namespace

template <typename T>
void CrossEntropyForward(void* stream, const T* logits_RV, const int64_t* target_R, int64_t rows, int64_t vocabulary,
                         float* loss_R) {
  // The kernel without gradient only reads.
  Run<T, false>(stream, const_cast<T*>(logits_RV), target_R, rows, vocabulary, 0.0f, loss_R);
}

template <typename T>
void CrossEntropyForwardBackward(void* stream, T* logits_RV, const int64_t* target_R, int64_t rows, int64_t vocabulary,
                                 float scale, float* loss_R) {
  Run<T, true>(stream, logits_RV, target_R, rows, vocabulary, scale, loss_R);
}

template void CrossEntropyForward(void*, const float*, const int64_t*, int64_t, int64_t, float*);
template void CrossEntropyForward(void*, const Bfloat16*, const int64_t*, int64_t, int64_t, float*);
template void CrossEntropyForwardBackward(void*, float*, const int64_t*, int64_t, int64_t, float, float*);
template void CrossEntropyForwardBackward(void*, Bfloat16*, const int64_t*, int64_t, int64_t, float, float*);

}  // namespace sink::kernels::cuda
