// What the passes of attention share: where rows lie, which tiles of keys a tile of queries sees, scores, and weights
// with their gradients. Device code on the names of device.h.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/products.h"

namespace sink::kernels::cuda {

inline constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;
inline constexpr float kSumEpsilon = 1e-8f, kSoftpickEpsilon = 1e-6f;

// The shape, rule and terms as kernels get them. Scores of softmax and softpick are kept times log2(e), so that their
// exponentials are powers of two; `unit` is that factor, 1 for the others. score_scale = scale * unit.
template <typename T>
struct Layer {
  const T* qkv_NW;
  int64_t width;
  int length, heads, key_value_heads, head_dim, prefix, window;
  Similarity similarity;
  Normalizer normalizer;
  float scale, unit, score_scale;
  AttentionTerms terms;
  bool has_column;
  bool vectorised;  // rows can be read 16 bytes at a time

  SINK_DEVICE const T* Rows(int64_t batch, int64_t head) const {
    return qkv_NW + batch * length * width + head * head_dim;
  }
  SINK_DEVICE const T* Query(int64_t batch, int64_t head) const { return Rows(batch, head); }
  SINK_DEVICE int64_t KeyHead(int64_t head) const { return heads + head / (heads / key_value_heads); }
  SINK_DEVICE const T* Key(int64_t batch, int64_t head) const { return Rows(batch, KeyHead(head)); }
  SINK_DEVICE const T* Value(int64_t batch, int64_t head) const { return Rows(batch, KeyHead(head) + key_value_heads); }

  // Of any two numbers, those beyond the sequence included. Without a branch: this is asked of every cell of a tile.
  SINK_DEVICE bool Sees(int query, int key) const {
    const bool is_near = (key <= query) & ((window == 0) | (key > query - window));
    return (query < length) & (key < length) & ((key < prefix) | is_near);
  }
  // Whether each of `queries` from first_query sees each of `keys` from first_key, all of them within the sequence.
  SINK_DEVICE bool SeesAll(int first_query, int queries, int first_key, int keys) const {
    if (first_key + keys > length || first_query + queries > length) return false;
    return first_key + keys <= prefix ||
           (first_key + keys - 1 <= first_query && (window == 0 || first_key > first_query + queries - 1 - window));
  }
  // So that bias[j - i] is the bias of query i and key j.
  SINK_DEVICE const float* Bias(int64_t head) const {
    return terms.offset_bias_HS ? terms.offset_bias_HS + head * (2 * length - 1) + length - 1 : nullptr;
  }
};

template <typename T>
Layer<T> MakeLayer(const T* qkv_NW, const AttentionShape& s, const AttentionRule& rule, const AttentionTerms& terms) {
  Require(IsSupported(s), "attention: no such batch, length or heads, or more than 128 dimensions a head");
  Require(rule.prefix >= 0 && rule.window >= 0, "attention: no such prefix or window");
  const bool online =
      rule.weights.similarity == Similarity::kSoftmax || rule.weights.similarity == Similarity::kSoftpick;
  Require(rule.weights.similarity == Similarity::kSoftmax || !terms.HasColumn(),
          "attention: only softmax has a column");
  return {qkv_NW,
          s.width(),
          static_cast<int>(s.length),
          static_cast<int>(s.heads),
          static_cast<int>(s.key_value_heads),
          static_cast<int>(s.head_dim),
          static_cast<int>(std::min(rule.prefix, s.length)),
          static_cast<int>(std::min(rule.window, s.length)),
          rule.weights.similarity,
          rule.weights.normalizer,
          1.0f / std::sqrt(static_cast<float>(s.head_dim)),
          online ? kLog2E : 1.0f,
          (online ? kLog2E : 1.0f) / std::sqrt(static_cast<float>(s.head_dim)),
          terms,
          terms.HasColumn(),
          IsVectorised(qkv_NW, s.head_dim)};
}

template <int kValue>
struct Dims {
  static constexpr int value = kValue;
};
// Calls body with the width that heads are filled up to with zeros.
template <typename T, typename Body>
void WithDims(int64_t head_dim, const Body& body) {
  if (head_dim <= 32) return body(Dims<32>());
  if (head_dim <= 64) return body(Dims<64>());
  if constexpr (sizeof(T) == 2) {
    if (head_dim <= 96) return body(Dims<96>());
  }
  return body(Dims<128>());
}

// The tiles of kSize keys that queries [first, first + count) see: 0 .. prefix-1, then first .. last-1.
struct KeyTiles {
  int prefix, first, last;

  template <typename T>
  SINK_DEVICE KeyTiles(const Layer<T>& layer, int size, int first_query, int count) {
    prefix = (layer.prefix + size - 1) / size;
    const int low = layer.window > 0 && first_query >= layer.window ? first_query - layer.window + 1 : 0;
    first = low / size > prefix ? low / size : prefix;
    const int end = first_query + count < layer.length ? first_query + count : layer.length;
    last = (end + size - 1) / size;
    if (last < prefix) last = prefix;
    if (first > last) first = last;
  }
  SINK_DEVICE int Begin() const { return prefix > 0 ? 0 : first; }
  SINK_DEVICE int Next(int tile) const { return tile + 1 == prefix ? first : tile + 1; }
};

// The tiles of queries that see some of `count` keys from first_key: from `first` to last-1.
struct QueryTiles {
  int first, last;

  template <typename T>
  SINK_DEVICE QueryTiles(const Layer<T>& layer, int size, int first_key, int count) {
    const bool in_prefix = first_key < layer.prefix;
    first = in_prefix ? 0 : first_key / size;
    int end = layer.length;
    if (!in_prefix && layer.window > 0 && first_key + count - 1 + layer.window < end)
      end = first_key + count - 1 + layer.window;
    last = (end + size - 1) / size;
  }
};

// Starts to copy kRows rows of a head from row `first` on into a tile; what lies beyond the sequence or the head is 0.
template <int kRows, int kDims, typename T>
SINK_DEVICE void LoadTile(const T* from, int64_t stride, int first, int length, int head_dim, bool vectorised,
                          T* tile) {
  constexpr int kWidth = kVectorWidth<T>, kChunks = kDims / kWidth;
  for (int chunk = Thread(); chunk < kRows * kChunks; chunk += Threads()) {
    const int row = chunk / kChunks, column = chunk % kChunks * kWidth;
    const bool exists = first + row < length;
    const T* source = from + (exists ? (first + row) * stride : 0);
    T* target = tile + row * Tile<T, kDims>::kStride + column;
    if (vectorised) {
      const bool valid = exists && column < head_dim;
      CopyAsync16(target, valid ? source + column : from, valid);
    } else {
      for (int i = 0; i < kWidth; ++i)
        target[i] = exists && column + i < head_dim ? source[column + i] : FromFloat<T>(0.0f);
    }
  }
}

// Writes a pair of neighbouring values of a head that has head_dim.
template <typename T>
SINK_DEVICE void StorePair(float x, float y, int column, int head_dim, bool vectorised, T* row) {
  if (vectorised) {
    const float pair[2] = {x, y};
    if (column < head_dim) Store(pair, row + column);
    return;
  }
  if (column < head_dim) row[column] = FromFloat<T>(x);
  if (column + 1 < head_dim) row[column + 1] = FromFloat<T>(y);
}

// Turns the products q . k of a tile into its scores; -infinity where the query does not see the key. Rows are queries
// from first_row on and columns keys, or the other way round.
template <bool kKeysDown, typename T, int kM, int kN>
SINK_DEVICE void MakeScores(const Layer<T>& layer, const float* bias, bool all_seen, int first_row, int first_column,
                            float (&s)[kM][kN][4]) {
  const auto for_pairs = [&](const auto& body) {
    ForCells(s, [&](float& x, int, int, int row, int column) {
      const int down = first_row + row, across = first_column + column;
      body(x, kKeysDown ? across : down, kKeysDown ? down : across);
    });
  };
  for_pairs([&](float& x, int, int) { x *= layer.score_scale; });
  if (bias)
    for_pairs([&](float& x, int query, int key) {
      if ((query < layer.length) & (key < layer.length)) x += bias[key - query] * layer.unit;
    });
  if (!all_seen) for_pairs([&](float& x, int query, int key) { x = layer.Sees(query, key) ? x : -INFINITY; });
}

// w of sigmoid, elu_plus_one and identity; 0 where the key is not seen (s = -infinity).
template <Similarity kKind>
SINK_DEVICE float PlainWeight(float s) {
  if (kKind == Similarity::kSigmoid) return FastReciprocal(1.0f + FastExp2(-s * kLog2E));
  if (kKind == Similarity::kEluPlusOne) return s > 0 ? s + 1.0f : FastExp2(s * kLog2E);
  return s == -INFINITY ? 0.0f : s;
}

// What a row needs to make weights and gradients anew: `shift` is log2 z (softmax, softpick) or 1 / z (the others);
// `dot` is subtracted from gradients of weights.
struct RowState {
  float shift, dot;
};
template <typename T>
SINK_DEVICE RowState StateOf(const Layer<T>& layer, float row, float dot) {
  if (layer.unit != 1.0f) return {row * kLog2E, dot};
  if (layer.normalizer == Normalizer::kSum) return {1.0f / (row + kSumEpsilon), dot};
  if (layer.normalizer == Normalizer::kSumOrOne && fabsf(row) > 1.0f) return {1.0f / fabsf(row), row > 0 ? dot : -dot};
  return {1.0f, 0.0f};
}

// The weight of a key with score s, and from the weight's gradient that of the score; both 0 where the key is not seen.
// Formulas as in kernels/attention_weights.cc.
template <Similarity kKind>
SINK_DEVICE float WeightOf(float s, const RowState& row) {
  if (kKind == Similarity::kSoftmax) return FastExp2(s - row.shift);
  if (kKind == Similarity::kSoftpick) return fmaxf(FastExp2(s - row.shift) - FastExp2(-row.shift), 0.0f);
  return PlainWeight<kKind>(s) * row.shift;
}
template <Similarity kKind>
SINK_DEVICE float ScoreGradient(float s, float weight, const RowState& row, float gradient) {
  if (kKind == Similarity::kSoftmax) return weight * (gradient - row.dot);
  if (kKind == Similarity::kSoftpick) return FastExp2(s - row.shift) * (weight > 0 ? gradient - row.dot : row.dot);
  const float slope = (gradient - row.dot) * row.shift;
  if (kKind == Similarity::kIdentity) return s == -INFINITY ? 0.0f : slope;
  const float w = PlainWeight<kKind>(s);
  return slope * (kKind == Similarity::kSigmoid ? w * (1.0f - w) : fminf(w, 1.0f));
}

template <Similarity kValue>
struct Kind {
  static constexpr Similarity value = kValue;
};
// Calls body with the kind, so that loops over cells hold no choice.
template <typename Body>
SINK_DEVICE void WithKind(Similarity similarity, const Body& body) {
  if (similarity == Similarity::kSoftmax)
    body(Kind<Similarity::kSoftmax>());
  else if (similarity == Similarity::kSoftpick)
    body(Kind<Similarity::kSoftpick>());
  else if (similarity == Similarity::kSigmoid)
    body(Kind<Similarity::kSigmoid>());
  else if (similarity == Similarity::kEluPlusOne)
    body(Kind<Similarity::kEluPlusOne>());
  else
    body(Kind<Similarity::kIdentity>());
}

}  // namespace sink::kernels::cuda
