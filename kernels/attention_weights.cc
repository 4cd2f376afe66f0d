// Attention weights on a CPU: a few passes over a row that stays in cache.
#include "kernels/attention_weights.h"

#include <algorithm>
#include <cmath>

#include "kernels/multiversion.h"
#include "kernels/vector_math.h"

namespace sink::kernels {
namespace {

constexpr float kSumEpsilon = 1e-8f, kSoftpickEpsilon = 1e-6f;

// Calls body(begin, end) for the one or two ranges of visible keys.
template <typename Body>
SINK_INLINE void ForVisible(const VisibleKeys& visible, const Body& body) {
  if (visible.prefix > 0) body(int64_t{0}, visible.prefix);
  if (visible.last > visible.first) body(visible.first, visible.last);
}

SINK_INLINE float Weight(Similarity similarity, float s) {
  switch (similarity) {
    case Similarity::kSigmoid:
      return Sigmoid(s);
    case Similarity::kEluPlusOne: {
      const float exponential = Exp(s);  // outside the choice, so that the loop has no branch
      return s > 0 ? s + 1.0f : exponential;
    }
    default:
      return s;
  }
}

// dw/ds, from w.
SINK_INLINE float Slope(Similarity similarity, float w) {
  switch (similarity) {
    case Similarity::kSigmoid:
      return w * (1.0f - w);
    case Similarity::kEluPlusOne:
      return w > 1.0f ? 1.0f : w;
    default:
      return 1.0f;
  }
}

// 1 / z, and the sign of dz / d(sum of w): 0 where z is constant.
struct Scale {
  float inverse = 1, slope = 0;
};
SINK_INLINE Scale ScaleOf(Normalizer normalizer, float sum) {
  if (normalizer == Normalizer::kSum) return {1.0f / (sum + kSumEpsilon), 1.0f};
  if (normalizer == Normalizer::kSumOrOne && std::fabs(sum) > 1.0f)
    return {1.0f / std::fabs(sum), sum > 0 ? 1.0f : -1.0f};
  return {};
}

SINK_INLINE float LargestVisible(const VisibleKeys& visible, const float* row) {
  float largest = row[visible.prefix > 0 ? 0 : visible.first];
  ForVisible(visible, [&](int64_t begin, int64_t end) { largest = std::max(largest, Max(row + begin, end - begin)); });
  return largest;
}

// The same keys up to a whole vector, as far as the row goes: a loop over few keys would spend most of its time on the
// last ones, one by one. What is computed of keys that are not visible is cleared in the end.
SINK_INLINE VisibleKeys WholeVectors(const VisibleKeys& visible, int64_t count) {
  return {visible.prefix, visible.first, std::min(count, (visible.last + 7) / 8 * 8)};
}

// Softmax with its largest score taken out; `column` counts as one more score.
SINK_INLINE float Softmax(const VisibleKeys& keys, int64_t count, float column, float* row) {
  const float largest = std::max(LargestVisible(keys, row), column);
  const VisibleKeys visible = WholeVectors(keys, count);
  std::fill(row + keys.last, row + visible.last, -INFINITY);  // adds less than 1e-37 to a sum of 1 or more
  float sum = std::isinf(column) ? 0.0f : std::exp(column - largest);
  ForVisible(visible, [&](int64_t begin, int64_t end) {
    float part = 0;
    for (int64_t k = begin; k < end; ++k) {
      row[k] = Exp(row[k] - largest);
      part += row[k];
    }
    sum += part;
  });
  const float inverse = 1.0f / sum;
  ForVisible(visible, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) row[k] *= inverse;
  });
  return largest + std::log(sum);
}

template <Similarity similarity>
SINK_INLINE float WeightsAndSum(const VisibleKeys& visible, float* row) {
  float sum = 0;
  ForVisible(visible, [&](int64_t begin, int64_t end) {
    float part = 0;
    for (int64_t k = begin; k < end; ++k) {
      row[k] = Weight(similarity, row[k]);
      part += row[k];
    }
    sum += part;
  });
  return sum;
}

template <Similarity similarity>
SINK_INLINE void Plain(Normalizer normalizer, const VisibleKeys& visible, float* row) {
  const float inverse = ScaleOf(normalizer, WeightsAndSum<similarity>(visible, row)).inverse;
  if (normalizer == Normalizer::kNone) return;
  ForVisible(visible, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) row[k] *= inverse;
  });
}

template <Similarity similarity>
SINK_INLINE void PlainBackward(Normalizer normalizer, const VisibleKeys& visible, float dot, float* row,
                               float* gradient) {
  const Scale scale = ScaleOf(normalizer, WeightsAndSum<similarity>(visible, row));
  const float shift = scale.slope * dot;
  ForVisible(visible, [&](int64_t begin, int64_t end) {
#pragma GCC ivdep
    for (int64_t k = begin; k < end; ++k) {
      gradient[k] = Slope(similarity, row[k]) * (gradient[k] - shift) * scale.inverse;
      row[k] *= scale.inverse;
    }
  });
}

// exp(s - largest) in the row, and 1 / z.
SINK_INLINE float SoftpickExponentials(const VisibleKeys& visible, float* row, float& one) {
  const float largest = LargestVisible(visible, row);
  one = Exp(-largest);
  float sum = 0;
  ForVisible(visible, [&](int64_t begin, int64_t end) {
    float part = 0;
    for (int64_t k = begin; k < end; ++k) {
      row[k] = Exp(row[k] - largest);
      part += std::fabs(row[k] - one);
    }
    sum += part;
  });
  return 1.0f / (sum + kSoftpickEpsilon);
}

SINK_INLINE void Softpick(const VisibleKeys& visible, float* row) {
  float one = 0;
  const float inverse = SoftpickExponentials(visible, row, one);
  ForVisible(visible, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) row[k] = row[k] > one ? (row[k] - one) * inverse : 0.0f;
  });
}

// The epsilon of z moves with the largest score; that slope, 1e-6 of the rest, is below a float's noise and left out.
SINK_INLINE void SoftpickBackward(const VisibleKeys& visible, float dot, float* row, float* gradient) {
  float one = 0;
  const float inverse = SoftpickExponentials(visible, row, one);
  ForVisible(visible, [&](int64_t begin, int64_t end) {
#pragma GCC ivdep
    for (int64_t k = begin; k < end; ++k) {
      const float exponential = row[k];
      const bool positive = exponential > one;
      gradient[k] = exponential * inverse * (positive ? gradient[k] - dot : dot);
      row[k] = positive ? (exponential - one) * inverse : 0.0f;
    }
  });
}

SINK_INLINE void ClearHidden(const VisibleKeys& visible, int64_t count, float* row) {
  std::fill(row + visible.prefix, row + visible.first, 0.0f);
  std::fill(row + visible.last, row + count, 0.0f);
}

}  // namespace

SINK_MULTIVERSION float AttentionWeights(const WeightRule& rule, const VisibleKeys& visible, int64_t count,
                                         float column, float* row) {
  float log_sum = 0;
  switch (rule.similarity) {
    case Similarity::kSoftmax:
      log_sum = Softmax(visible, count, column, row);
      break;
    case Similarity::kSigmoid:
      Plain<Similarity::kSigmoid>(rule.normalizer, visible, row);
      break;
    case Similarity::kEluPlusOne:
      Plain<Similarity::kEluPlusOne>(rule.normalizer, visible, row);
      break;
    case Similarity::kIdentity:
      Plain<Similarity::kIdentity>(rule.normalizer, visible, row);
      break;
    case Similarity::kSoftpick:
      Softpick(visible, row);
      break;
  }
  ClearHidden(visible, count, row);
  return log_sum;
}

SINK_MULTIVERSION void AttentionWeightsBackward(const WeightRule& rule, const VisibleKeys& visible, int64_t count,
                                                float log_sum, float dot, float* row, float* gradient) {
  switch (rule.similarity) {
    case Similarity::kSoftmax:
      ForVisible(WholeVectors(visible, count), [&](int64_t begin, int64_t end) {
#pragma GCC ivdep
        for (int64_t k = begin; k < end; ++k) {
          row[k] = Exp(row[k] - log_sum);
          gradient[k] = row[k] * (gradient[k] - dot);
        }
      });
      break;
    case Similarity::kSigmoid:
      PlainBackward<Similarity::kSigmoid>(rule.normalizer, visible, dot, row, gradient);
      break;
    case Similarity::kEluPlusOne:
      PlainBackward<Similarity::kEluPlusOne>(rule.normalizer, visible, dot, row, gradient);
      break;
    case Similarity::kIdentity:
      PlainBackward<Similarity::kIdentity>(rule.normalizer, visible, dot, row, gradient);
      break;
    case Similarity::kSoftpick:
      SoftpickBackward(visible, dot, row, gradient);
      break;
  }
  ClearHidden(visible, count, row);
  ClearHidden(visible, count, gradient);
}

SINK_MULTIVERSION float Dot(const float* x, const float* y, int64_t count) {
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i] * y[i];
  return sum;
}

SINK_MULTIVERSION void AddScaled(float factor, const float* x, int64_t count, float* __restrict y) {
  for (int64_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

}  // namespace sink::kernels
