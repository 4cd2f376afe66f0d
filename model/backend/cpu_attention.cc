// Strips of queries. Rows of queries, keys and values are read, and their gradients written, where they lie in the
// merged rows. Of narrow heads, whose products BLAS takes ten times too long for, a task does all strips, of fewer rows
// so that less of what lies after a query is computed, and has the keys and values transposed before it. Plain causal
// softmax of narrow heads, which the small recipes spend their time in, is a kernel of its own, a head a call.
#include "model/backend/cpu_attention.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/causal_head.h"
#include "kernels/small_product.h"
#include "model/backend/cpu_product.h"
#include "model/backend/reference_attention.h"

namespace sink {
namespace {

using kernels::VisibleKeys;

// Heads up to this width, in whole fours, take kernels/small_product.h.
constexpr int64_t kNarrow = 32;
bool IsNarrow(int64_t head_dim) { return head_dim <= kNarrow && head_dim % 4 == 0; }

// c = alpha a b, a [rows, inner], b [inner, columns].
void Multiply(bool narrow, const Matrix& a, const Matrix& b, int64_t rows, int64_t columns, int64_t inner, float alpha,
              const Matrix& c) {
  if (!narrow) return Gemm(false, false, rows, columns, inner, alpha, a, b, 0.0f, c);
  kernels::SmallProduct({a.data, a.stride, 1}, b.data, b.stride, rows, columns, inner, alpha, /*add=*/false, c.data,
                        c.stride);
}
// c += alpha a^T b, a [inner, rows], b [inner, columns].
void AddTransposedProduct(bool narrow, const Matrix& a, const Matrix& b, int64_t rows, int64_t columns, int64_t inner,
                          float alpha, const Matrix& c) {
  if (!narrow) return Gemm(true, false, rows, columns, inner, alpha, a, b, 1.0f, c);
  kernels::SmallProduct({a.data, 1, a.stride}, b.data, b.stride, rows, columns, inner, alpha, /*add=*/true, c.data,
                        c.stride);
}

constexpr int64_t kMaxStrip = 64;

// Queries of a strip: its scores, and in the backward pass their gradients, should stay in a core's own cache.
int64_t StripRows(int64_t length, bool narrow) {
  return narrow ? 16 : std::clamp<int64_t>((int64_t{1} << 17) / length, 16, kMaxStrip);
}

// Where everything of one tensor set lies, and who sees what.
class StripLayout {
 public:
  StripLayout(const AttentionShape& shape, const AttentionRule& rule, const AttentionTerms& terms)
      : shape(shape),
        rule(rule),
        terms(terms),
        narrow(IsNarrow(shape.head_dim)),
        strip(StripRows(shape.length, narrow)) {}

  const AttentionShape& shape;
  const AttentionRule& rule;
  const AttentionTerms& terms;
  const bool narrow;
  const int64_t strip;

  int64_t strips() const { return (shape.length + strip - 1) / strip; }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(shape.head_dim)); }

  // Rows of one sequence from position t, of the head'th head of merged rows (queries, then keys, then values).
  Matrix Merged(const at::Tensor& qkv, int64_t batch, int64_t t, int64_t head) const {
    return {At(qkv, (batch * shape.length + t) * shape.width() + head * shape.head_dim), shape.width()};
  }
  Matrix Output(const at::Tensor& output, int64_t batch, int64_t t, int64_t head) const {
    const int64_t width = shape.heads * shape.head_dim;
    return {At(output, (batch * shape.length + t) * width + head * shape.head_dim), width};
  }
  // Rows of a view [B, H, T, D] from position t.
  static Matrix View(const at::Tensor& x_BHTD, int64_t batch, int64_t head, int64_t t) {
    return {At(x_BHTD, batch * x_BHTD.stride(0) + head * x_BHTD.stride(1) + t * x_BHTD.stride(2)), x_BHTD.stride(2)};
  }
  int64_t KeyHead(int64_t head) const { return shape.heads + head / (shape.heads / shape.key_value_heads); }
  int64_t ValueHead(int64_t head) const { return KeyHead(head) + shape.key_value_heads; }

  // The keys that any query of first .. first+rows-1 sees lie in [low, high).
  int64_t Low(int64_t first) const {
    return rule.window > 0 && rule.prefix == 0 ? std::max<int64_t>(0, first - rule.window + 1) : 0;
  }
  int64_t High(int64_t first, int64_t rows) const {
    return std::clamp<int64_t>(rule.prefix, first + rows, shape.length);
  }
  // Of query i, among the keys from `low`.
  VisibleKeys Visible(int64_t i, int64_t low) const {
    VisibleKeys visible{0, 0, std::min(std::max(i + 1, rule.prefix), shape.length) - low};
    if (rule.window == 0) return visible;
    const int64_t first = std::max<int64_t>(0, i - rule.window + 1);
    if (first <= rule.prefix) return visible;
    visible.prefix = rule.prefix;
    visible.first = first - low;
    return visible;
  }

  // Row of a [H, columns] or [B, H, columns] term, null where it is undefined.
  static float* Row(const at::Tensor& x, int64_t row) { return x.defined() ? At(x, row * x.size(-1)) : nullptr; }
  // Biases of query i for the keys from `low`.
  const float* Bias(int64_t head, int64_t i, int64_t low) const {
    const float* row = Row(terms.offset_bias_HS, head);
    return row ? row + low - i + shape.length - 1 : nullptr;
  }
  // Score of the column, -infinity where there is none.
  float ColumnScore(int64_t head, const float* query) const {
    if (!terms.HasColumn()) return -std::numeric_limits<float>::infinity();
    const float* key = Row(terms.column_key_HD, head);
    const float logit = terms.column_logit_H.defined() ? *At(terms.column_logit_H, head) : 0.0f;
    return logit + (key ? scale() * kernels::Dot(query, key, shape.head_dim) : 0.0f);
  }

 private:
  static float* At(const at::Tensor& x, int64_t offset) {
    return const_cast<float*>(x.const_data_ptr<float>()) + offset;
  }
};

// What a task computes in: the scores of a strip and, going back, their gradients; of narrow heads also the keys and
// the values of the head, [D, T].
struct Scratch {
  Scratch(const StripLayout& layout, bool backward)
      : scores(static_cast<size_t>(layout.strip * layout.shape.length)),
        gradients(backward ? scores.size() : 0),
        keys_DT(layout.narrow ? static_cast<size_t>(layout.shape.head_dim * layout.shape.length) : 0),
        values_DT(backward ? keys_DT.size() : 0) {}

  // For the strips of a head, or of those that share its keys.
  void TakeHead(const StripLayout& layout, const at::Tensor& qkv, int64_t batch, int64_t head) {
    const auto transpose = [&](const Matrix& x, std::vector<float>& out) {
      if (!out.empty()) kernels::Transpose(x.data, x.stride, layout.shape.length, layout.shape.head_dim, out.data());
    };
    transpose(layout.Merged(qkv, batch, 0, layout.KeyHead(head)), keys_DT);
    transpose(layout.Merged(qkv, batch, 0, layout.ValueHead(head)), values_DT);
  }

  std::vector<float> scores, gradients, keys_DT, values_DT;
};

// out[r, k] = alpha a[r] . b[k], a [rows, D], b the `keys` rows from `low` of a head's keys or values, of which b_DT is
// the transposed whole.
void MultiplyTransposed(const StripLayout& layout, const Matrix& a, const Matrix& b, const std::vector<float>& b_DT,
                        int64_t low, int64_t rows, int64_t keys, float alpha, const Matrix& out) {
  const int64_t dim = layout.shape.head_dim;
  if (!layout.narrow) return Gemm(false, true, rows, keys, dim, alpha, a, b, 0.0f, out);
  kernels::SmallProduct({a.data, a.stride, 1}, b_DT.data() + low, layout.shape.length, rows, keys, dim, alpha,
                        /*add=*/false, out.data, out.stride);
}

// Scores of a strip's queries against keys [low, high), biases included.
void Scores(const StripLayout& layout, const at::Tensor& qkv, int64_t batch, int64_t head, int64_t first, int64_t rows,
            int64_t low, int64_t high, Scratch& scratch) {
  const int64_t keys = high - low;
  float* scores = scratch.scores.data();
  MultiplyTransposed(layout, layout.Merged(qkv, batch, first, head),
                     layout.Merged(qkv, batch, low, layout.KeyHead(head)), scratch.keys_DT, low, rows, keys,
                     layout.scale(), {scores, keys});
  if (!layout.terms.offset_bias_HS.defined()) return;
  for (int64_t r = 0; r < rows; ++r)
    kernels::AddScaled(1.0f, layout.Bias(head, first + r, low), keys, scores + r * keys);
}

void ForwardStrip(const StripLayout& layout, const at::Tensor& qkv, int64_t batch, int64_t head, int64_t first,
                  Scratch& scratch, const AttentionOutput& out) {
  const int64_t rows = std::min(layout.strip, layout.shape.length - first);
  const int64_t low = layout.Low(first), high = layout.High(first, rows), keys = high - low;
  Scores(layout, qkv, batch, head, first, rows, low, high, scratch);
  float* scores = scratch.scores.data();
  const Matrix query = layout.Merged(qkv, batch, first, head),
               output = layout.Output(out.output_NC, batch, first, head);
  float* log_sum = StripLayout::Row(out.log_sum_BHT, batch * layout.shape.heads + head) + first;
  float column[kMaxStrip];
  for (int64_t r = 0; r < rows; ++r) {
    column[r] = layout.ColumnScore(head, query.data + r * query.stride);
    log_sum[r] = kernels::AttentionWeights(layout.rule.weights, layout.Visible(first + r, low), keys, column[r],
                                           scores + r * keys);
  }
  Multiply(layout.narrow, {scores, keys}, layout.Merged(qkv, batch, low, layout.ValueHead(head)), rows,
           layout.shape.head_dim, keys, 1.0f, output);
  if (const float* value = StripLayout::Row(layout.terms.column_value_HD, head); value && layout.terms.HasColumn())
    for (int64_t r = 0; r < rows; ++r)
      kernels::AddScaled(std::exp(column[r] - log_sum[r]), value, layout.shape.head_dim,
                         output.data + r * output.stride);
}

// The gradients of one head's column, [D], [D] and a scalar of this sequence; null where a term is undefined.
struct ColumnGradients {
  float *key, *value, *logit;
};

// Adds what query i passes through the column.
void ColumnBackward(const StripLayout& layout, int64_t head, const float* query, const float* output_gradient,
                    float log_sum, float dot, float* query_gradient, const ColumnGradients& out) {
  const int64_t dim = layout.shape.head_dim;
  const float weight = std::exp(layout.ColumnScore(head, query) - log_sum);
  const float* value = StripLayout::Row(layout.terms.column_value_HD, head);
  const float slope = value ? kernels::Dot(output_gradient, value, dim) : 0.0f;
  const float score_gradient = weight * (slope - dot);
  if (out.value) kernels::AddScaled(weight, output_gradient, dim, out.value);
  if (out.logit) *out.logit += score_gradient;
  if (const float* key = StripLayout::Row(layout.terms.column_key_HD, head)) {
    kernels::AddScaled(score_gradient * layout.scale(), query, dim, out.key);
    kernels::AddScaled(score_gradient * layout.scale(), key, dim, query_gradient);
  }
}

// What a strip reads besides the merged rows, and writes.
struct BackwardTensors {
  const at::Tensor &gradient_NC, &qkv_NW;
  const AttentionOutput& forward;
  at::Tensor qkv_gradient_NW;
  AttentionTerms partial;  // gradients of the terms, one row a sequence and head: [B * H, ...]
};

void BackwardStrip(const StripLayout& layout, const BackwardTensors& x, int64_t batch, int64_t head, int64_t first,
                   Scratch& scratch) {
  const int64_t rows = std::min(layout.strip, layout.shape.length - first), dim = layout.shape.head_dim;
  const int64_t low = layout.Low(first), high = layout.High(first, rows), keys = high - low;
  const int64_t row = batch * layout.shape.heads + head;
  const Matrix query = layout.Merged(x.qkv_NW, batch, first, head);
  const Matrix key = layout.Merged(x.qkv_NW, batch, low, layout.KeyHead(head));
  const Matrix value = layout.Merged(x.qkv_NW, batch, low, layout.ValueHead(head));
  const Matrix output = layout.Output(x.forward.output_NC, batch, first, head);
  const Matrix output_gradient = layout.Output(x.gradient_NC, batch, first, head);
  const Matrix query_gradient = layout.Merged(x.qkv_gradient_NW, batch, first, head);
  const float* log_sum = StripLayout::Row(x.forward.log_sum_BHT, row) + first;
  float dot[kMaxStrip];

  Scores(layout, x.qkv_NW, batch, head, first, rows, low, high, scratch);
  float *scores = scratch.scores.data(), *gradients = scratch.gradients.data();
  MultiplyTransposed(layout, output_gradient, value, scratch.values_DT, low, rows, keys, 1.0f, {gradients, keys});
  for (int64_t r = 0; r < rows; ++r) {
    dot[r] = kernels::Dot(output.data + r * output.stride, output_gradient.data + r * output_gradient.stride, dim);
    kernels::AttentionWeightsBackward(layout.rule.weights, layout.Visible(first + r, low), keys, log_sum[r], dot[r],
                                      scores + r * keys, gradients + r * keys);
  }
  AddTransposedProduct(layout.narrow, {scores, keys}, output_gradient, keys, dim, rows, 1.0f,
                       layout.Merged(x.qkv_gradient_NW, batch, low, layout.ValueHead(head)));
  AddTransposedProduct(layout.narrow, {gradients, keys}, query, keys, dim, rows, layout.scale(),
                       layout.Merged(x.qkv_gradient_NW, batch, low, layout.KeyHead(head)));
  Multiply(layout.narrow, {gradients, keys}, key, rows, dim, keys, layout.scale(), query_gradient);
  if (float* bias = StripLayout::Row(x.partial.offset_bias_HS, row))
    for (int64_t r = 0; r < rows; ++r)
      kernels::AddScaled(1.0f, gradients + r * keys, keys, bias + low - (first + r) + layout.shape.length - 1);
  if (!layout.terms.HasColumn()) return;
  const ColumnGradients column{StripLayout::Row(x.partial.column_key_HD, row),
                               StripLayout::Row(x.partial.column_value_HD, row),
                               StripLayout::Row(x.partial.column_logit_H, row)};
  for (int64_t r = 0; r < rows; ++r)
    ColumnBackward(layout, head, query.data + r * query.stride, output_gradient.data + r * output_gradient.stride,
                   log_sum[r], dot[r], query_gradient.data + r * query_gradient.stride, column);
}

bool IsCausalHead(const StripLayout& layout) { return layout.narrow && reference::IsPlain(layout.rule, layout.terms); }

kernels::CausalHead CausalHeadOf(const StripLayout& layout, const at::Tensor& qkv, int64_t batch, int64_t head) {
  const auto rows = [&](int64_t merged_head) { return layout.Merged(qkv, batch, 0, merged_head).data; };
  return {rows(head),           rows(layout.KeyHead(head)), rows(layout.ValueHead(head)),
          layout.shape.width(), layout.shape.length,        layout.shape.head_dim};
}

// Calls body(batch, head, scratch) for all heads; those that share keys and values in order, on one thread.
template <typename Body>
void ForCausalHeads(const AttentionShape& shape, const Body& body) {
  const int64_t groups = shape.heads / shape.key_value_heads;
  at::parallel_for(0, shape.batch * shape.key_value_heads, 1, [&](int64_t begin, int64_t end) {
    const auto scratch = std::make_unique_for_overwrite<float[]>(
        static_cast<size_t>(kernels::CausalHeadScratch(shape.length, shape.head_dim)));
    for (int64_t head = begin * groups; head < end * groups; ++head)
      body(head / shape.heads, head % shape.heads, scratch.get());
  });
}

// Of short sequences the weights are kept, where they take no more memory than what the layer keeps beside them: about
// T / 2 floats a query and head, in place of D products and an exponential each in the backward pass.
constexpr int64_t kMostKept = 128;  // tokens; beyond, a head's weights leave a core's cache

at::Tensor WeightsToKeep(const AttentionShape& shape, const at::Tensor& qkv) {
  if (shape.length > std::min(kMostKept, 8 * shape.head_dim)) return {};
  return at::empty({shape.batch, shape.heads, kernels::CausalHeadWeights(shape.length)}, qkv.options());
}

void CausalForward(const StripLayout& layout, const at::Tensor& qkv, const AttentionOutput& out) {
  ForCausalHeads(layout.shape, [&](int64_t batch, int64_t head, float* scratch) {
    const int64_t row = batch * layout.shape.heads + head;
    const Matrix output = layout.Output(out.output_NC, batch, 0, head);
    kernels::CausalHeadForward(CausalHeadOf(layout, qkv, batch, head), scratch, output.data, output.stride,
                               StripLayout::Row(out.log_sum_BHT, row), StripLayout::Row(out.weights, row));
  });
}

at::Tensor CausalBackward(const StripLayout& layout, const at::Tensor& gradient, const at::Tensor& qkv,
                          const AttentionOutput& forward) {
  const at::Tensor qkv_gradient = at::empty_like(qkv);
  const int64_t groups = layout.shape.heads / layout.shape.key_value_heads;
  ForCausalHeads(layout.shape, [&](int64_t batch, int64_t head, float* scratch) {
    const int64_t row = batch * layout.shape.heads + head;
    const Matrix output = layout.Output(forward.output_NC, batch, 0, head);
    const auto rows = [&](int64_t merged_head) { return layout.Merged(qkv_gradient, batch, 0, merged_head).data; };
    kernels::CausalHeadBackward(
        CausalHeadOf(layout, qkv, batch, head), output.data, layout.Output(gradient, batch, 0, head).data,
        output.stride, StripLayout::Row(forward.log_sum_BHT, row), StripLayout::Row(forward.weights, row), scratch,
        {rows(head), rows(layout.KeyHead(head)), rows(layout.ValueHead(head)), layout.shape.width(),
         /*add=*/head % groups != 0});
  });
  return qkv_gradient;
}

// Zeroes [B * H, columns of the term].
at::Tensor PartialOf(const at::Tensor& term, int64_t rows) {
  return term.defined() ? at::zeros({rows, term.dim() == 1 ? 1 : term.size(1)}, term.options()) : at::Tensor();
}

at::Tensor SumOverBatch(const at::Tensor& partial, const at::Tensor& term, int64_t batch) {
  return partial.defined() ? partial.view({batch, -1}).sum(0).view(term.sizes()) : at::Tensor();
}

}  // namespace

AttentionOutput AttentionForwardCpu(const at::Tensor& qkv, const AttentionShape& shape, const AttentionRule& rule,
                                    const AttentionTerms& terms) {
  AttentionOutput out{at::empty({qkv.size(0), shape.heads * shape.head_dim}, qkv.options()),
                      at::empty({shape.batch, shape.heads, shape.length}, qkv.options())};
  const StripLayout layout(shape, rule, terms);
  if (IsCausalHead(layout)) {
    out.weights = WeightsToKeep(shape, qkv);
    CausalForward(layout, qkv, out);
    return out;
  }
  // A task is a strip, or of narrow heads all strips of one.
  const int64_t tasks = layout.narrow ? 1 : layout.strips(), rows = layout.narrow ? shape.length : layout.strip;
  at::parallel_for(0, shape.batch * shape.heads * tasks, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(layout, /*backward=*/false);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t batch = task / tasks / shape.heads, head = task / tasks % shape.heads;
      const int64_t start = task % tasks * rows, stop = std::min(start + rows, shape.length);
      scratch.TakeHead(layout, qkv, batch, head);
      for (int64_t first = start; first < stop; first += layout.strip)
        ForwardStrip(layout, qkv, batch, head, first, scratch, out);
    }
  });
  return out;
}

at::Tensor AttentionWeightsCpu(const at::Tensor& queries_BHTD, const at::Tensor& keys_BKTD, const AttentionRule& rule,
                               const AttentionTerms& terms, int64_t first, int64_t rows) {
  const auto with_dense_rows = [](const at::Tensor& x) { return x.stride(3) == 1 ? x : x.contiguous(); };
  const at::Tensor query_BHTD = with_dense_rows(queries_BHTD), key_BKTD = with_dense_rows(keys_BKTD);
  const AttentionShape shape{query_BHTD.size(0), query_BHTD.size(2), query_BHTD.size(1), key_BKTD.size(1),
                             query_BHTD.size(3)};
  const StripLayout layout(shape, rule, terms);
  const int64_t column = terms.HasColumn() ? 1 : 0, stride = column + shape.length;
  const at::Tensor weights = at::empty({shape.batch, shape.heads, rows, stride}, query_BHTD.options());
  at::parallel_for(0, shape.batch * shape.heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> keys_DT(layout.narrow ? static_cast<size_t>(shape.head_dim * shape.length) : 0);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t batch = task / shape.heads, head = task % shape.heads;
      const Matrix query = StripLayout::View(query_BHTD, batch, head, first);
      const Matrix key = StripLayout::View(key_BKTD, batch, head / (shape.heads / shape.key_value_heads), 0);
      float* row = weights.mutable_data_ptr<float>() + task * rows * stride + column;
      if (layout.narrow) kernels::Transpose(key.data, key.stride, shape.length, shape.head_dim, keys_DT.data());
      MultiplyTransposed(layout, query, key, keys_DT, 0, rows, layout.High(first, rows), layout.scale(), {row, stride});
      for (int64_t r = 0; r < rows; ++r, row += stride) {
        if (const float* bias = layout.Bias(head, first + r, 0)) kernels::AddScaled(1.0f, bias, shape.length, row);
        const float score = layout.ColumnScore(head, query.data + r * query.stride);
        const float log_sum =
            kernels::AttentionWeights(rule.weights, layout.Visible(first + r, 0), shape.length, score, row);
        if (column > 0) row[-1] = std::exp(score - log_sum);
      }
    }
  });
  return weights;
}

AttentionGradients AttentionBackwardCpu(const at::Tensor& gradient, const at::Tensor& qkv,
                                        const AttentionOutput& forward, const AttentionShape& shape,
                                        const AttentionRule& rule, const AttentionTerms& terms) {
  const int64_t rows = shape.batch * shape.heads, groups = shape.heads / shape.key_value_heads;
  const StripLayout layout(shape, rule, terms);
  if (IsCausalHead(layout)) return {CausalBackward(layout, gradient, qkv, forward), {}};
  const BackwardTensors x{gradient,
                          qkv,
                          forward,
                          at::zeros_like(qkv),
                          {PartialOf(terms.offset_bias_HS, rows), PartialOf(terms.column_key_HD, rows),
                           PartialOf(terms.column_value_HD, rows), PartialOf(terms.column_logit_H, rows)}};
  // One task a sequence and key/value head: its strips add to the same keys and values, in order.
  at::parallel_for(0, shape.batch * shape.key_value_heads, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(layout, /*backward=*/true);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t batch = task / shape.key_value_heads, first_head = task % shape.key_value_heads * groups;
      scratch.TakeHead(layout, qkv, batch, first_head);
      for (int64_t head = first_head; head < first_head + groups; ++head)
        for (int64_t first = 0; first < shape.length; first += layout.strip)
          BackwardStrip(layout, x, batch, head, first, scratch);
    }
  });
  return {x.qkv_gradient_NW,
          {SumOverBatch(x.partial.offset_bias_HS, terms.offset_bias_HS, shape.batch),
           SumOverBatch(x.partial.column_key_HD, terms.column_key_HD, shape.batch),
           SumOverBatch(x.partial.column_value_HD, terms.column_value_HD, shape.batch),
           SumOverBatch(x.partial.column_logit_H, terms.column_logit_H, shape.batch)}};
}

}  // namespace sink
