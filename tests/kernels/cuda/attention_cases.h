// The kinds of attention that the kernels are tested with, and the shapes: heads of every width that is compiled, and
// lengths around those of the tiles. Test helper.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tests/kernels/cuda/attention_reference.h"
#include "tests/kernels/cuda/harness.h"

namespace sink::kernels::cuda {

struct Case {
  std::string name;
  AttentionRule rule;
  bool bias = false, column_key = false, column_value = false, column_logit = false;
};
inline void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

inline std::vector<Case> Cases() {
  constexpr WeightRule kSoftmax{Similarity::kSoftmax, Normalizer::kSum};
  constexpr WeightRule kSigmoid{Similarity::kSigmoid, Normalizer::kNone};
  return {
      {"causal", {kSoftmax}},
      {"window", {kSoftmax, 0, 37}},
      {"window_of_one", {kSoftmax, 0, 1}},
      {"prefix", {kSoftmax, 70, 0}},
      {"prefix_and_window", {kSoftmax, 5, 20}},
      {"bias", {kSoftmax}, true},
      {"sink_logit", {kSoftmax}, false, false, false, true},
      {"key_bias", {kSoftmax}, false, true},
      {"key_value_bias_and_window", {kSoftmax, 0, 40}, true, true, true, true},
      {"softpick", {{Similarity::kSoftpick, Normalizer::kSum}}},
      {"softpick_window", {{Similarity::kSoftpick, Normalizer::kSum}, 3, 30}},
      {"sigmoid", {kSigmoid}},
      {"sigmoid_sum_bias", {{Similarity::kSigmoid, Normalizer::kSum}}, true},
      {"elu", {{Similarity::kEluPlusOne, Normalizer::kNone}, 0, 50}},
      {"elu_sum", {{Similarity::kEluPlusOne, Normalizer::kSum}, 9, 0}},
      {"identity", {{Similarity::kIdentity, Normalizer::kNone}, 2, 33}},
      {"identity_sum_or_one", {{Similarity::kIdentity, Normalizer::kSumOrOne}}},
      {"bias_and_prefix", {kSoftmax, 70, 0}, true},
      {"bias_prefix_and_window", {kSoftmax, 67, 20}, true},
  };
}

// Inputs of one case as T holds them; terms are floats.
template <typename T>
struct Inputs {
  Inputs(const Case& c, const AttentionShape& s, float spread = 1.0f)
      : shape(s),
        qkv(Scaled(Random(s.batch * s.length * s.width(), 1), spread)),
        gradient(Random(s.batch * s.length * s.heads * s.head_dim, 2)),
        bias(Scaled(Random(c.bias ? s.heads * (2 * s.length - 1) : 0, 3), 0.5f)),
        column_key(Random(c.column_key ? s.heads * s.head_dim : 0, 4)),
        column_value(Random(c.column_value ? s.heads * s.head_dim : 0, 5)),
        column_logit(Random(c.column_logit ? s.heads : 0, 6)) {}

  AttentionTerms Terms() const {
    const auto pointer = [](const Buffer<float>& x) { return x.size() > 0 ? x.data() : nullptr; };
    return {pointer(bias), pointer(column_key), pointer(column_value), pointer(column_logit)};
  }
  ReferenceTerms Wide() const {
    return {bias.Values(), column_key.Values(), column_value.Values(), column_logit.Values()};
  }
  static std::vector<float> Scaled(std::vector<float> x, float factor) {
    for (float& value : x) value *= factor;
    return x;
  }

  AttentionShape shape;
  Buffer<T> qkv, gradient;
  Buffer<float> bias, column_key, column_value, column_logit;
};

// Bounds of RelativeError: with bf16 each weight and result is rounded, which costs about 2^-9 of its size.
template <typename T>
constexpr double kAttentionTolerance = std::is_same_v<T, Bfloat16> ? 6e-3 : 5e-6;

}  // namespace sink::kernels::cuda
