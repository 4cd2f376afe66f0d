// Strips of sixteen queries against the keys up to the last of them. Keys, values and their gradients are packed first:
// in merged rows a head's values lie so far apart that a few lines of the cache would hold them all. Rows are copied
// and turned by fours, because a head is too narrow for the compiler's own loops to pay.
#include "kernels/causal_head.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/eight.h"
#include "kernels/multiversion.h"
#include "kernels/small_product.h"
#include "kernels/vector_math.h"

namespace sink::kernels {
namespace {

constexpr int64_t kLanes = 16;  // queries of a strip

// What one strip leaves for the backward pass: weights before they are divided by their sum, and after the last key's
// the inverse of that sum. L = kLanes queries side by side.
int64_t StripWeights(int64_t keys) { return (keys + 1) * kLanes; }

// The scratch of a head.
struct Packed {
  Packed(const CausalHead& head, float* scratch)
      : key_TD(scratch),
        value_TD(key_TD + head.length * head.dim),
        key_gradient_TD(value_TD + head.length * head.dim),
        value_gradient_TD(key_gradient_TD + head.length * head.dim),
        weight_TL(value_gradient_TD + head.length * head.dim),
        gradient_TL(weight_TL + StripWeights(head.length)),
        query_DL(gradient_TL + head.length * kLanes),
        output_DL(query_DL + head.dim * kLanes),
        output_gradient_DL(output_DL + head.dim * kLanes),
        output_gradient_LD(output_gradient_DL + head.dim * kLanes) {}

  float *key_TD, *value_TD, *key_gradient_TD, *value_gradient_TD;
  float *weight_TL, *gradient_TL;                                         // of one strip
  float *query_DL, *output_DL, *output_gradient_DL, *output_gradient_LD;  // of one strip
};

SINK_INLINE Eight& At(float* lanes) { return *reinterpret_cast<Eight*>(lanes); }
SINK_INLINE const Eight& At(const float* lanes) { return *reinterpret_cast<const Eight*>(lanes); }

SINK_INLINE void Pack(const float* x, int64_t row, int64_t rows, int64_t columns, float* out) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < columns; d += kFour) FourAt(out + i * columns + d) = FourAt(x + i * row + d);
}

SINK_INLINE void Unpack(const float* x, int64_t rows, int64_t columns, bool add, float* out, int64_t row) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < columns; d += kFour) {
      Four& place = FourAt(out + i * row + d);
      place = add ? place + FourAt(x + i * columns + d) : FourAt(x + i * columns + d);
    }
}

// out[i] = factor[i] x[i], of rows.
SINK_INLINE void ScaleRows(const float* x, int64_t row, int64_t rows, int64_t columns, const float* factor, float* out,
                           int64_t out_row) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < columns; d += kFour) FourAt(out + i * out_row + d) = factor[i] * FourAt(x + i * row + d);
}

// A row a lane; lanes beyond the last row get 0.
SINK_INLINE void ToLanes(const float* x, int64_t row, int64_t rows, int64_t columns, float* out_DL) {
  if (rows < kLanes) std::fill(out_DL, out_DL + columns * kLanes, 0.0f);
  int64_t i = 0;
  for (; i + kFour <= rows; i += kFour)
    for (int64_t d = 0; d < columns; d += kFour) TurnFour(x + i * row + d, row, out_DL + d * kLanes + i, kLanes);
  for (; i < rows; ++i)
    for (int64_t d = 0; d < columns; ++d) out_DL[d * kLanes + i] = x[i * row + d];
}

float ScaleOf(const CausalHead& head) { return 1.0f / std::sqrt(static_cast<float>(head.dim)); }

// Puts a value in place of what queries of the strip from `first` have for keys after them.
SINK_INLINE void SetHidden(int64_t first, int64_t keys, float value, float* score_TL) {
  constexpr EightInts kOrder = {0, 1, 2, 3, 4, 5, 6, 7};
  for (int64_t key = first + 1; key < keys; ++key)
    for (int64_t lane = 0; lane < kLanes; lane += kEight) {
      Eight& score = At(score_TL + key * kLanes + lane);
      score = kOrder < EightInts{} + static_cast<int32_t>(key - first - lane) ? Eight{} + value : score;
    }
}

// The largest of each lane.
SINK_INLINE void Largest(int64_t keys, const float* score_TL, float* largest_L) {
  for (int64_t lane = 0; lane < kLanes; lane += kEight) {
    Eight largest = At(score_TL + lane);
    for (int64_t key = 1; key < keys; ++key) {
      const Eight& score = At(score_TL + key * kLanes + lane);
      largest = score > largest ? score : largest;
    }
    At(largest_L + lane) = largest;
  }
}

// The sum of each lane.
SINK_INLINE void Sum(int64_t keys, const float* weight_TL, float* sum_L) {
  for (int64_t lane = 0; lane < kLanes; lane += kEight) {
    Eight sum = {};
    for (int64_t key = 0; key < keys; ++key) sum += At(weight_TL + key * kLanes + lane);
    At(sum_L + lane) = sum;
  }
}

// Scores become exp(score - subtracted), which is at most 1, and 0 where a query does not see the key. Two keys at
// once: of an odd number the row after the last is changed, too.
SINK_INLINE void Exponentials(int64_t first, int64_t keys, const float* subtracted_L, float* score_TL) {
  constexpr int64_t kHalves = kLanes / kEight, kTogether = 2 * kHalves;
  Eight subtracted[kHalves];
  for (int64_t half = 0; half < kHalves; ++half) subtracted[half] = At(subtracted_L + half * kEight);
  for (int64_t key = 0; key < keys; key += 2) {
    float* const rows = score_TL + key * kLanes;
    Eight x[kTogether];
#pragma GCC unroll 8
    for (int64_t i = 0; i < kTogether; ++i) x[i] = At(rows + i * kEight) - subtracted[i % kHalves];
    ReplaceByExp(x);
#pragma GCC unroll 8
    for (int64_t i = 0; i < kTogether; ++i) At(rows + i * kEight) = x[i];
  }
  SetHidden(first, keys, 0.0f, score_TL);
}

// The weights' gradients become those of the scores: g[key] = w[key] (g[key] - dot), dot of each lane that of output
// and its gradient.
SINK_INLINE void ScoreGradients(int64_t keys, int64_t dim, const float* weight_TL, const float* output_DL,
                                const float* output_gradient_DL, float* gradient_TL) {
  for (int64_t lane = 0; lane < kLanes; lane += kEight) {
    Eight dot = {};
    for (int64_t d = 0; d < dim; ++d)
      dot += At(output_DL + d * kLanes + lane) * At(output_gradient_DL + d * kLanes + lane);
    for (int64_t key = 0; key < keys; ++key) {
      Eight& gradient = At(gradient_TL + key * kLanes + lane);
      gradient = At(weight_TL + key * kLanes + lane) * (gradient - dot);
    }
  }
}

}  // namespace

int64_t CausalHeadScratch(int64_t length, int64_t dim) {
  return 4 * length * dim + StripWeights(length) + length * kLanes + 4 * dim * kLanes;
}

int64_t CausalHeadWeights(int64_t length) {
  int64_t count = 0;
  for (int64_t first = 0; first < length; first += kLanes) count += StripWeights(std::min(first + kLanes, length));
  return count;
}

SINK_MULTIVERSION void CausalHeadForward(const CausalHead& head, float* scratch, float* output_TD, int64_t output_row,
                                         float* log_sum_T, float* weights) {
  const Packed x(head, scratch);
  Pack(head.key_TD, head.row, head.length, head.dim, x.key_TD);
  Pack(head.value_TD, head.row, head.length, head.dim, x.value_TD);
  for (int64_t first = 0; first < head.length; first += kLanes) {
    const int64_t rows = std::min<int64_t>(kLanes, head.length - first), keys = first + rows;
    float* const weight_TL = weights ? weights : x.weight_TL;
    float* const inverse_L = weight_TL + keys * kLanes;
    float largest[kLanes], sum[kLanes];
    ToLanes(head.query_TD + first * head.row, head.row, rows, head.dim, x.query_DL);
    SmallProduct({x.key_TD, head.dim, 1}, x.query_DL, kLanes, keys, kLanes, head.dim, ScaleOf(head), /*add=*/false,
                 weight_TL, kLanes);
    SetHidden(first, keys, -std::numeric_limits<float>::infinity(), weight_TL);
    Largest(keys, weight_TL, largest);
    Exponentials(first, keys, largest, weight_TL);
    Sum(keys, weight_TL, sum);
    for (int64_t lane = 0; lane < kLanes; ++lane) inverse_L[lane] = 1.0f / sum[lane];
    for (int64_t i = 0; i < rows; ++i) log_sum_T[first + i] = largest[i] + Log(sum[i]);
    float* const output = output_TD + first * output_row;
    SmallProduct({weight_TL, 1, kLanes}, x.value_TD, head.dim, rows, head.dim, keys, 1.0f, /*add=*/false, output,
                 output_row);
    ScaleRows(output, output_row, rows, head.dim, inverse_L, output, output_row);
    if (weights) weights += StripWeights(keys);
  }
}

SINK_MULTIVERSION void CausalHeadBackward(const CausalHead& head, const float* output_TD,
                                          const float* output_gradient_TD, int64_t output_row, const float* log_sum_T,
                                          const float* weights, float* scratch, const CausalHeadGradients& out) {
  const Packed x(head, scratch);
  const float scale = ScaleOf(head);
  Pack(head.key_TD, head.row, head.length, head.dim, x.key_TD);
  Pack(head.value_TD, head.row, head.length, head.dim, x.value_TD);
  std::fill(x.key_gradient_TD, x.key_gradient_TD + 2 * head.length * head.dim, 0.0f);  // the values' too
  for (int64_t first = 0; first < head.length; first += kLanes) {
    const int64_t rows = std::min<int64_t>(kLanes, head.length - first), keys = first + rows;
    const float* const query = head.query_TD + first * head.row;
    if (!weights) {
      float log_sum[kLanes] = {};
      std::copy_n(log_sum_T + first, rows, log_sum);
      ToLanes(query, head.row, rows, head.dim, x.query_DL);
      SmallProduct({x.key_TD, head.dim, 1}, x.query_DL, kLanes, keys, kLanes, head.dim, scale, /*add=*/false,
                   x.weight_TL, kLanes);
      Exponentials(first, keys, log_sum, x.weight_TL);
      std::fill_n(x.weight_TL + keys * kLanes, kLanes, 1.0f);
    }
    const float* const weight_TL = weights ? weights : x.weight_TL;
    // What the weights lack of their sum's inverse, the output's gradient has.
    ScaleRows(output_gradient_TD + first * output_row, output_row, rows, head.dim, weight_TL + keys * kLanes,
              x.output_gradient_LD, head.dim);
    ToLanes(x.output_gradient_LD, head.dim, rows, head.dim, x.output_gradient_DL);
    ToLanes(output_TD + first * output_row, output_row, rows, head.dim, x.output_DL);
    SmallProduct({x.value_TD, head.dim, 1}, x.output_gradient_DL, kLanes, keys, kLanes, head.dim, 1.0f, /*add=*/false,
                 x.gradient_TL, kLanes);
    ScoreGradients(keys, head.dim, weight_TL, x.output_DL, x.output_gradient_DL, x.gradient_TL);
    SmallProduct({weight_TL, kLanes, 1}, x.output_gradient_LD, head.dim, keys, head.dim, rows, 1.0f, /*add=*/true,
                 x.value_gradient_TD, head.dim);
    SmallProduct({x.gradient_TL, kLanes, 1}, query, head.row, keys, head.dim, rows, scale, /*add=*/true,
                 x.key_gradient_TD, head.dim);
    SmallProduct({x.gradient_TL, 1, kLanes}, x.key_TD, head.dim, rows, head.dim, keys, scale, /*add=*/false,
                 out.query_TD + first * out.row, out.row);
    if (weights) weights += StripWeights(keys);
  }
  Unpack(x.key_gradient_TD, head.length, head.dim, out.add, out.key_TD, out.row);
  Unpack(x.value_gradient_TD, head.length, head.dim, out.add, out.value_TD, out.row);
}

}  // namespace sink::kernels
