// Strips of sixteen queries against the keys up to the last of them. Keys, values and their gradients are packed first:
// in merged rows a head's values lie so far apart that a few lines of the cache would hold them all.
#include "kernels/causal_head.h"

#include <algorithm>
#include <cmath>

#include "kernels/eight.h"
#include "kernels/multiversion.h"
#include "kernels/small_product.h"
#include "kernels/vector_math.h"

namespace sink::kernels {
namespace {

constexpr int64_t kLanes = 16;  // queries of a strip

// The scratch of a head.
struct Packed {
  Packed(const CausalHead& head, float* scratch)
      : key_TD(scratch),
        value_TD(key_TD + head.length * head.dim),
        key_gradient_TD(value_TD + head.length * head.dim),
        value_gradient_TD(key_gradient_TD + head.length * head.dim),
        score_TL(value_gradient_TD + head.length * head.dim),
        gradient_TL(score_TL + head.length * kLanes),
        query_DL(gradient_TL + head.length * kLanes),
        output_gradient_DL(query_DL + head.dim * kLanes) {}

  float *key_TD, *value_TD, *key_gradient_TD, *value_gradient_TD;
  float *score_TL, *gradient_TL;         // of one strip, L = kLanes queries side by side
  float *query_DL, *output_gradient_DL;  // of one strip
};

SINK_INLINE void Pack(const float* x, int64_t row, int64_t rows, int64_t columns, float* out) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < columns; ++d) out[i * columns + d] = x[i * row + d];
}

SINK_INLINE void Unpack(const float* x, int64_t rows, int64_t columns, bool add, float* out, int64_t row) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < columns; ++d)
      out[i * row + d] = add ? out[i * row + d] + x[i * columns + d] : x[i * columns + d];
}

// A row a lane; lanes beyond the last row get 0.
SINK_INLINE void ToLanes(const float* x, int64_t row, int64_t rows, int64_t columns, float* out_DL) {
  if (rows < kLanes) std::fill(out_DL, out_DL + columns * kLanes, 0.0f);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < columns; ++d) out_DL[d * kLanes + i] = x[i * row + d];
}

float ScaleOf(const CausalHead& head) { return 1.0f / std::sqrt(static_cast<float>(head.dim)); }

SINK_INLINE Eight& At(float* lanes) { return *reinterpret_cast<Eight*>(lanes); }

// Which lanes of the eight from `lane` on hold queries that do not see the key: those before key - first.
SINK_INLINE void HiddenFrom(int64_t key, int64_t first, int64_t lane, EightInts& hidden) {
  constexpr EightInts kOrder = {0, 1, 2, 3, 4, 5, 6, 7};
  hidden = kOrder < EightInts{} + static_cast<int32_t>(key - first - lane);
}

// Scores become exp(score - largest), 0 where a query does not see the key. largest and sum are of each lane.
SINK_INLINE void Exponentials(int64_t first, int64_t keys, float* score_TL, float* largest_L, float* sum_L) {
  for (int64_t lane = 0; lane < kLanes; lane += kEight) {
    Eight largest = At(score_TL + lane), sum = {};  // every query sees key 0
    EightInts hidden;
    for (int64_t key = 1; key < keys; ++key) {
      const Eight score = At(score_TL + key * kLanes + lane);
      HiddenFrom(key, first, lane, hidden);
      const Eight seen = hidden ? largest : score;
      largest = seen > largest ? seen : largest;
    }
    for (int64_t key = 0; key < keys; ++key) {
      Eight& score = At(score_TL + key * kLanes + lane);
      Eight weight = score - largest;
      ReplaceByExp<Eight, EightInts>(weight);
      HiddenFrom(key, first, lane, hidden);
      weight = hidden ? Eight{} : weight;
      score = weight;
      sum += weight;
    }
    At(largest_L + lane) = largest;
    At(sum_L + lane) = sum;
  }
}

// Scores become weights, the weights' gradients those of the scores.
SINK_INLINE void WeightsBackward(int64_t first, int64_t keys, float* log_sum_L, float* dot_L, float* score_TL,
                                 float* gradient_TL) {
  for (int64_t lane = 0; lane < kLanes; lane += kEight) {
    const Eight log_sum = At(log_sum_L + lane), dot = At(dot_L + lane);
    EightInts hidden;
    for (int64_t key = 0; key < keys; ++key) {
      Eight &score = At(score_TL + key * kLanes + lane), &gradient = At(gradient_TL + key * kLanes + lane);
      Eight weight = score - log_sum;
      ReplaceByExp<Eight, EightInts>(weight);
      HiddenFrom(key, first, lane, hidden);
      weight = hidden ? Eight{} : weight;
      score = weight;
      gradient = weight * (gradient - dot);
    }
  }
}

}  // namespace

int64_t CausalHeadScratch(int64_t length, int64_t dim) {
  return 4 * length * dim + 2 * length * kLanes + 2 * dim * kLanes;
}

SINK_MULTIVERSION void CausalHeadForward(const CausalHead& head, float* scratch, float* output_TD, int64_t output_row,
                                         float* log_sum_T) {
  const Packed x(head, scratch);
  Pack(head.key_TD, head.row, head.length, head.dim, x.key_TD);
  Pack(head.value_TD, head.row, head.length, head.dim, x.value_TD);
  for (int64_t first = 0; first < head.length; first += kLanes) {
    const int64_t rows = std::min<int64_t>(kLanes, head.length - first), keys = first + rows;
    float largest[kLanes], sum[kLanes], inverse[kLanes], log_sum[kLanes];
    ToLanes(head.query_TD + first * head.row, head.row, rows, head.dim, x.query_DL);
    SmallProduct({x.key_TD, head.dim, 1}, x.query_DL, kLanes, keys, kLanes, head.dim, ScaleOf(head), /*add=*/false,
                 x.score_TL, kLanes);
    Exponentials(first, keys, x.score_TL, largest, sum);
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      inverse[lane] = 1.0f / sum[lane];
      log_sum[lane] = largest[lane] + Log(sum[lane]);
    }
    float* output = output_TD + first * output_row;
    SmallProduct({x.score_TL, 1, kLanes}, x.value_TD, head.dim, rows, head.dim, keys, 1.0f, /*add=*/false, output,
                 output_row);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t d = 0; d < head.dim; ++d) output[i * output_row + d] *= inverse[i];
      log_sum_T[first + i] = log_sum[i];
    }
  }
}

SINK_MULTIVERSION void CausalHeadBackward(const CausalHead& head, const float* output_TD,
                                          const float* output_gradient_TD, int64_t output_row, const float* log_sum_T,
                                          float* scratch, const CausalHeadGradients& out) {
  const Packed x(head, scratch);
  const float scale = ScaleOf(head);
  Pack(head.key_TD, head.row, head.length, head.dim, x.key_TD);
  Pack(head.value_TD, head.row, head.length, head.dim, x.value_TD);
  std::fill(x.key_gradient_TD, x.key_gradient_TD + 2 * head.length * head.dim, 0.0f);  // the values' too
  for (int64_t first = 0; first < head.length; first += kLanes) {
    const int64_t rows = std::min<int64_t>(kLanes, head.length - first), keys = first + rows;
    const float* query = head.query_TD + first * head.row;
    const float *output = output_TD + first * output_row, *output_gradient = output_gradient_TD + first * output_row;
    float log_sum[kLanes] = {}, dot[kLanes] = {};
    for (int64_t i = 0; i < rows; ++i) {
      log_sum[i] = log_sum_T[first + i];
      for (int64_t d = 0; d < head.dim; ++d) dot[i] += output[i * output_row + d] * output_gradient[i * output_row + d];
    }
    ToLanes(query, head.row, rows, head.dim, x.query_DL);
    ToLanes(output_gradient, output_row, rows, head.dim, x.output_gradient_DL);
    SmallProduct({x.key_TD, head.dim, 1}, x.query_DL, kLanes, keys, kLanes, head.dim, scale, /*add=*/false, x.score_TL,
                 kLanes);
    SmallProduct({x.value_TD, head.dim, 1}, x.output_gradient_DL, kLanes, keys, kLanes, head.dim, 1.0f, /*add=*/false,
                 x.gradient_TL, kLanes);
    WeightsBackward(first, keys, log_sum, dot, x.score_TL, x.gradient_TL);
    SmallProduct({x.score_TL, kLanes, 1}, output_gradient, output_row, keys, head.dim, rows, 1.0f, /*add=*/true,
                 x.value_gradient_TD, head.dim);
    SmallProduct({x.gradient_TL, kLanes, 1}, query, head.row, keys, head.dim, rows, scale, /*add=*/true,
                 x.key_gradient_TD, head.dim);
    SmallProduct({x.gradient_TL, 1, kLanes}, x.key_TD, head.dim, rows, head.dim, keys, scale, /*add=*/false,
                 out.query_TD + first * out.row, out.row);
  }
  Unpack(x.key_gradient_TD, head.length, head.dim, out.add, out.key_TD, out.row);
  Unpack(x.value_gradient_TD, head.length, head.dim, out.add, out.value_TD, out.row);
}

}  // namespace sink::kernels
