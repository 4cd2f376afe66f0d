// Attention in double, every formula written out, with gradients by the chain rule over whole rows: what the tiled
// kernels are compared with. The gradients are themselves held to finite differences (attention_backward_test.cc). Test
// helper.
#pragma once

#include <cmath>
#include <vector>

#include "kernels/cuda/attention.h"

namespace sink::kernels::cuda {

using Values = std::vector<double>;

struct ReferenceTerms {
  Values bias, column_key, column_value, column_logit;  // empty: left out
};

struct ReferenceResult {
  Values output, row, sums, column_sums;
  Values dqkv, dbias, dcolumn_key, dcolumn_value, dcolumn_logit;
};

// One row's weights and how the loss's gradient goes through them.
class ReferenceRow {
 public:
  // Scores of the keys that are seen; `column` is the column's, or null.
  ReferenceRow(const WeightRule& rule, const Values& scores, const double* column) : rule_(rule), scores_(scores) {
    double largest = column ? *column : scores[0];
    for (const double s : scores) largest = std::max(largest, s);
    const bool softmax = rule.similarity == Similarity::kSoftmax, softpick = rule.similarity == Similarity::kSoftpick;
    double sum = softmax && column ? std::exp(*column) : 0;
    for (const double s : scores) {
      weight.push_back(Weight(s));
      sum += softpick ? std::abs(std::exp(s) - 1) : weight.back();
    }
    if (softpick) sum += 1e-6 * std::exp(largest);
    z_ = sum;
    row = softmax || softpick ? std::log(sum) : sum;
    if (!softmax && !softpick) {
      if (rule.normalizer == Normalizer::kNone) z_ = 1;
      if (rule.normalizer == Normalizer::kSum) z_ = sum + 1e-8;
      if (rule.normalizer == Normalizer::kSumOrOne) z_ = std::max(std::abs(sum), 1.0);
      z_slope_ = rule.normalizer == Normalizer::kNone                               ? 0
                 : rule.normalizer == Normalizer::kSumOrOne && std::abs(sum) <= 1.0 ? 0
                 : sum > 0                                                          ? 1
                                                                                    : -1;
    }
    for (double& w : weight) w /= z_;
    if (softmax && column) column_weight = std::exp(*column) / z_;
  }

  // d(loss)/d(score) from d(loss)/d(weight) of this key and `dot`, the sum of weight * gradient over keys and column.
  double ScoreGradient(size_t k, double gradient, double dot) const {
    const double s = scores_[k], slope = Slope(s);
    if (rule_.similarity == Similarity::kSoftmax) return weight[k] * (gradient - dot);
    if (rule_.similarity == Similarity::kSoftpick)
      return slope / z_ * gradient - (s > 0 ? 1 : -1) * std::exp(s) / z_ * dot;
    return slope / z_ * (gradient - z_slope_ * dot);
  }

  Values weight;
  double column_weight = 0, row = 0;

 private:
  double Weight(double s) const {
    switch (rule_.similarity) {
      case Similarity::kSigmoid:
        return 1 / (1 + std::exp(-s));
      case Similarity::kEluPlusOne:
        return s > 0 ? s + 1 : std::exp(s);
      case Similarity::kIdentity:
        return s;
      case Similarity::kSoftpick:
        return std::max(std::exp(s) - 1, 0.0);
      default:
        return std::exp(s);
    }
  }
  double Slope(double s) const {
    switch (rule_.similarity) {
      case Similarity::kSigmoid:
        return Weight(s) * (1 - Weight(s));
      case Similarity::kEluPlusOne:
        return s > 0 ? 1 : std::exp(s);
      case Similarity::kIdentity:
        return 1;
      case Similarity::kSoftpick:
        return s > 0 ? std::exp(s) : 0;
      default:
        return std::exp(s);
    }
  }

  WeightRule rule_;
  Values scores_;
  double z_ = 1, z_slope_ = 0;
};

// With an empty gradient only the forward part. The backward part may be given the output as it was rounded, because a
// kernel has no other: where a row's gradients nearly cancel, that rounding is most of what is left.
inline ReferenceResult Attention(const Values& qkv, const AttentionShape& s, const AttentionRule& rule,
                                 const ReferenceTerms& terms, const Values& gradient = {},
                                 const Values& rounded_output = {}) {
  const auto at = [](int64_t i) { return static_cast<size_t>(i); };
  const int64_t dim = s.head_dim, width = s.width(), length = s.length;
  const double scale = 1 / std::sqrt(static_cast<double>(dim));
  const bool has_column = !terms.column_key.empty() || !terms.column_logit.empty();
  ReferenceResult r;
  r.output.resize(at(s.batch * length * s.heads * dim));
  r.row.resize(at(s.batch * s.heads * length));
  r.sums.resize(r.row.size());
  r.column_sums.resize(at(s.batch * s.heads));
  r.dqkv.resize(qkv.size());
  r.dbias.resize(terms.bias.size());
  r.dcolumn_key.resize(terms.column_key.size());
  r.dcolumn_value.resize(terms.column_value.size());
  r.dcolumn_logit.resize(terms.column_logit.size());
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t i = 0; i < length; ++i) {
        const int64_t key_head = s.heads + h / (s.heads / s.key_value_heads), value_head = key_head + s.key_value_heads;
        const auto place = [&](int64_t t, int64_t head) { return (b * length + t) * width + head * dim; };
        const auto dot_of = [&](const double* x, const double* y) {
          double sum = 0;
          for (int64_t d = 0; d < dim; ++d) sum += x[d] * y[d];
          return sum;
        };
        const double* query = qkv.data() + place(i, h);
        std::vector<int64_t> seen;
        Values scores;
        for (int64_t j = 0; j < length; ++j) {
          if (!(j < rule.prefix || (j <= i && (rule.window == 0 || j > i - rule.window)))) continue;
          seen.push_back(j);
          const double bias = terms.bias.empty() ? 0 : terms.bias[at(h * (2 * length - 1) + j - i + length - 1)];
          scores.push_back(scale * dot_of(query, qkv.data() + place(j, key_head)) + bias);
        }
        double column = terms.column_logit.empty() ? 0 : terms.column_logit[at(h)];
        if (!terms.column_key.empty()) column += scale * dot_of(query, terms.column_key.data() + h * dim);
        const ReferenceRow weights(rule.weights, scores, has_column ? &column : nullptr);
        r.row[at((b * s.heads + h) * length + i)] = weights.row;
        r.column_sums[at(b * s.heads + h)] += weights.column_weight;
        const int64_t out = ((b * length + i) * s.heads + h) * dim;
        const bool column_value = has_column && !terms.column_value.empty();
        for (size_t k = 0; k < seen.size(); ++k) {
          r.sums[at((b * s.heads + h) * length + seen[k])] += weights.weight[k];
          for (int64_t d = 0; d < dim; ++d)
            r.output[at(out + d)] += weights.weight[k] * qkv[at(place(seen[k], value_head) + d)];
        }
        for (int64_t d = 0; column_value && d < dim; ++d)
          r.output[at(out + d)] += weights.column_weight * terms.column_value[at(h * dim + d)];
        if (gradient.empty()) continue;

        const double* dout = gradient.data() + out;
        const double dot = dot_of(dout, (rounded_output.empty() ? r.output : rounded_output).data() + out);
        for (size_t k = 0; k < seen.size(); ++k) {
          const int64_t key = place(seen[k], key_head), value = place(seen[k], value_head);
          const double dscore = weights.ScoreGradient(k, dot_of(dout, qkv.data() + value), dot), ds = scale * dscore;
          if (!terms.bias.empty()) r.dbias[at(h * (2 * length - 1) + seen[k] - i + length - 1)] += dscore;
          for (int64_t d = 0; d < dim; ++d) {
            r.dqkv[at(value + d)] += weights.weight[k] * dout[d];
            r.dqkv[at(key + d)] += ds * query[d];
            r.dqkv[at(place(i, h) + d)] += ds * qkv[at(key + d)];
          }
        }
        if (!has_column) continue;
        const double slope = column_value ? dot_of(dout, terms.column_value.data() + h * dim) : 0;
        const double dcolumn = weights.column_weight * (slope - dot);
        if (!terms.column_logit.empty()) r.dcolumn_logit[at(h)] += dcolumn;
        for (int64_t d = 0; d < dim; ++d) {
          if (column_value) r.dcolumn_value[at(h * dim + d)] += weights.column_weight * dout[d];
          if (terms.column_key.empty()) continue;
          r.dcolumn_key[at(h * dim + d)] += dcolumn * scale * query[d];
          r.dqkv[at(place(i, h) + d)] += dcolumn * scale * terms.column_key[at(h * dim + d)];
        }
      }
  return r;
}

}  // namespace sink::kernels::cuda
