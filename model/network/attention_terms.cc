#include "model/network/attention_terms.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <cmath>

namespace sink {
namespace {

// The value of the column, [H, D]: 0 where undefined. A fixed one (Gu et al., table 5) is scale e_1, or
// scale / sqrt(D) everywhere.
at::Tensor ColumnValue(const ModelConfig& c, const LayerParameters& weights, const at::TensorOptions& options) {
  const double scale = c.variant.value_bias_scale;
  at::Tensor value;
  switch (c.variant.value_bias) {
    case ValueBias::kNone:
      break;
    case ValueBias::kShared:
    case ValueBias::kPerHead:
      value = PerHead(Value(weights.value_bias), c.num_attention_heads);
      break;
    case ValueBias::kUnit:
      value = at::zeros({c.num_attention_heads, c.head_dim()}, options);
      value.select(1, 0).fill_(scale);
      break;
    case ValueBias::kUniform:
      value = at::full({c.num_attention_heads, c.head_dim()}, scale / std::sqrt(static_cast<double>(c.head_dim())),
                       options);
      break;
  }
  return value;
}

// The column's logit, [H]; undefined where it has none of its own.
at::Tensor ColumnLogit(const ModelConfig& c, const LayerParameters& weights, const at::TensorOptions& options) {
  switch (c.variant.sink_logit) {
    case SinkLogit::kZero:
      return at::zeros({c.num_attention_heads}, options);
    case SinkLogit::kLearned:
      return Value(weights.sink_logit);
    case SinkLogit::kNone:
      break;
  }
  return {};
}

}  // namespace

at::Tensor PerHead(const at::Tensor& bias, int64_t heads) {
  return bias.defined() && bias.dim() == 1 ? bias.expand({heads, -1}).contiguous() : bias;
}

AttentionTerms TermsOf(const ModelConfig& c, const LayerParameters& weights, const at::Tensor& offset_bias,
                       const at::TensorOptions& options) {
  AttentionTerms terms{.offset_bias_HS = offset_bias};
  terms.column_key_HD = PerHead(Value(weights.key_bias), c.num_attention_heads);
  terms.column_logit_H = ColumnLogit(c, weights, options);
  if (terms.HasColumn()) terms.column_value_HD = ColumnValue(c, weights, options);
  return terms;
}

}  // namespace sink
