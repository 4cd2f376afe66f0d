#include "model/eval/metric_table.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/special_entr.h>

#include <limits>

#include "model/network/attention.h"

namespace sink {
namespace {

constexpr double kMassive = 100, kMassiveOverMedian = 1000;  // Sun et al.
constexpr double kDormant = 0.1;                             // of the mean output norm of the layer's heads
constexpr double kClosed = 0.1;                              // a gate below it

at::Tensor NormOfLast(const at::Tensor& x) {
  return at::linalg_vector_norm(x, 2, at::IntArrayRef{-1}, /*keepdim=*/false, at::kDouble);
}

// Positions of the text from its nth token on, n from 0, in a tensor whose dimension `dim` are positions.
at::Tensor Tokens(const at::Tensor& x, int64_t dim, int64_t text_start, int64_t n = 0) {
  return x.narrow(dim, text_start + n, x.size(dim) - text_start - n);
}

// Keys or values of the first token, [B, H, D], in double.
at::Tensor FirstOf(const at::Tensor& x_BKPD, const LayerView& layer) {
  const int64_t groups = layer.attention.query_BHTD.size(1) / x_BKPD.size(1);
  return x_BKPD.select(2, layer.text_start).repeat_interleave(groups, 1).to(at::kDouble);
}

at::Tensor FirstOverOthers(const at::Tensor& x_BKPD, const LayerView& layer) {
  const at::Tensor norm_BKT = Tokens(NormOfLast(x_BKPD), 2, layer.text_start);
  return norm_BKT.select(2, 0) / Tokens(norm_BKT, 2, 0, 1).mean(2);
}

// Keys that the block's queries see, [R, J].
at::Tensor Seen(const BlockView& b) {
  const at::Tensor keys = AttentionMask(b.attention.rule, b.attention.key_BKTD.size(2), b.block.first, b.block.rows,
                                        b.attention.key_BKTD.device());
  return b.attention.terms.HasColumn() ? at::cat({at::ones({b.block.rows, 1}, keys.options()), keys}, 1) : keys;
}

at::Tensor FirstAttention(const BlockView& b) { return b.block.probabilities_BHRJ.select(3, b.first_key); }

// A tie is no first place, so that a row of zeros counts for nobody.
at::Tensor FirstArgmax(const BlockView& b) {
  const at::Tensor p = b.block.From(b.text_start + 1).probabilities_BHRJ;
  const at::Tensor largest = p.amax(3, /*keepdim=*/true);
  return p.eq(largest).sum(3).eq(1).logical_and(p.select(3, b.first_key).eq(largest.squeeze(3)));
}

at::Tensor AttentionEntropy(const BlockView& b) { return at::special_entr(b.block.probabilities_BHRJ).sum(3); }

at::Tensor ZeroAttention(const BlockView& b) { return b.block.weights_BHRJ.eq(0).masked_select(Seen(b)); }

// Weights without a similarity function are the scores; the column's is no score of a key.
at::Tensor MaxLogit(const BlockView& b) {
  const AttentionView& a = b.attention;
  if (a.rule.weights.similarity == kernels::Similarity::kIdentity) return {};
  AttentionRule rule = a.rule;
  rule.weights = {kernels::Similarity::kIdentity, kernels::Normalizer::kNone};
  const at::Tensor scores = AttentionWeights(a.query_BHTD, a.key_BKTD, rule, {.offset_bias_HS = a.terms.offset_bias_HS},
                                             b.block.first, b.block.rows);
  const at::Tensor seen = AttentionMask(rule, scores.size(3), b.block.first, b.block.rows, scores.device());
  return scores.masked_fill(seen.logical_not(), -std::numeric_limits<double>::infinity()).amax(3);
}

at::Tensor DormantHeads(const LayerView& layer) {
  at::Tensor output_BPHD = layer.attention.output_BHTD.transpose(1, 2);
  if (layer.attention.gate_NG.defined()) {
    const auto s = output_BPHD.sizes();
    output_BPHD = output_BPHD * layer.attention.gate_NG.view({s[0], s[1], s[2], -1});
  }
  const at::Tensor norm_BH = Tokens(NormOfLast(output_BPHD), 1, layer.text_start).mean(1);
  return norm_BH.lt(kDormant * norm_BH.mean(1, /*keepdim=*/true));
}

at::Tensor MaxActivation(const HiddenView& v) { return v.hidden_PC.abs().max(); }

at::Tensor Massive(const HiddenView& v) {  // [P, C]
  const at::Tensor size = v.hidden_PC.abs();
  return size.gt(kMassive).logical_and(size.gt(kMassiveOverMedian * size.median()));
}

at::Tensor MassiveActivations(const HiddenView& v) { return Massive(v).sum(); }
at::Tensor MassiveChannels(const HiddenView& v) { return Massive(v).any(0).sum(); }

at::Tensor TopMedianRatio(const HiddenView& v) {
  const at::Tensor size = v.hidden_PC.abs();
  return size.max() / size.median();
}

at::Tensor Kurtosis(const HiddenView& v) {
  const at::Tensor square = (v.hidden_PC - v.hidden_PC.mean()).square();
  return square.square().mean() / square.mean().square();
}

at::Tensor HiddenNorm(const HiddenView& v) { return NormOfLast(v.hidden_PC); }

// The eigenvalues of the smaller Gram matrix are the squared singular values.
at::Tensor MatrixEntropy(const HiddenView& v) {
  const at::Tensor& x = v.hidden_PC;
  const at::Tensor gram = x.size(0) < x.size(1) ? at::matmul(x, x.t()) : at::matmul(x.t(), x);
  if (!gram.isfinite().all().item<bool>()) return at::full({}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  const at::Tensor squares = at::linalg_eigvalsh(gram).clamp_min(0);
  return at::special_entr(squares / squares.sum()).sum();
}

at::Tensor HiddenCosine(const HiddenView& v) {
  const at::Tensor first_C = v.hidden_PC.select(0, v.text_start);
  return first_C / NormOfLast(first_C);
}

at::Tensor KeyNormRatio(const LayerView& layer) { return FirstOverOthers(layer.attention.key_BKTD, layer); }
at::Tensor ValueNormRatio(const LayerView& layer) { return FirstOverOthers(layer.attention.value_BKTD, layer); }

at::Tensor QueryKeyCosine(const LayerView& layer) {
  const at::Tensor queries = Tokens(layer.attention.query_BHTD, 2, layer.text_start, 1).to(at::kDouble);
  return at::cosine_similarity(queries, FirstOf(layer.attention.key_BKTD, layer).unsqueeze(2), 3, 1e-12);
}

at::Tensor QueryKeyNorm(const LayerView& layer) {
  const at::Tensor query_BHT = Tokens(NormOfLast(layer.attention.query_BHTD), 2, layer.text_start, 1);
  return query_BHT * NormOfLast(FirstOf(layer.attention.key_BKTD, layer)).unsqueeze(2);
}

// Norm of u_t = w_t v_1.
at::Tensor SinkUpdate(const LayerView& layer) {
  const at::Tensor value_BH = NormOfLast(FirstOf(layer.attention.value_BKTD, layer));
  return Tokens(layer.first_weights_BHT, 2, 0, 1).abs() * value_BH.unsqueeze(2);
}

// Mean |u_t - mean u| / |mean u|, where v_1 cancels; of the heads that use the first token.
at::Tensor SinkUpdateDeviation(const LayerView& layer) {
  const at::Tensor weight = Tokens(layer.first_weights_BHT, 2, 0, 1).to(at::kDouble);
  const at::Tensor mean = weight.mean(2);
  const at::Tensor deviation = (weight - mean.unsqueeze(2)).abs().mean(2) / mean.abs();
  return deviation.masked_select(mean.ne(0));
}

at::Tensor LogitOfTheSink(const LayerView& layer) { return layer.attention.terms.column_logit_H; }

at::Tensor GateMean(const LayerView& layer) {
  const at::Tensor& gate = layer.attention.gate_NG;
  if (!gate.defined()) return {};
  const at::Tensor& query = layer.attention.query_BHTD;
  return Tokens(gate.view({query.size(0), query.size(2), -1}), 1, layer.text_start);
}

at::Tensor GateSparsity(const LayerView& layer) {
  const at::Tensor gate = GateMean(layer);
  return gate.defined() ? gate.lt(kClosed) : gate;
}

}  // namespace

const std::vector<Metric>& MetricTable() {
  using enum Reduction;
  static const std::vector<Metric> table = {
      {"first_attention", kMean, kMean, FirstAttention},
      {"first_argmax", kMean, kMean, FirstArgmax},
      {"attention_entropy", kMean, kMean, AttentionEntropy},
      {"zero_attention", kMean, kMean, ZeroAttention},
      {"max_logit", kMax, kMax, MaxLogit},
      {"dormant_heads", kMean, kMean, DormantHeads},
      {"max_activation", kMax, kMax, MaxActivation},
      {"massive_activations", kMean, kMax, MassiveActivations},
      {"massive_channels", kMean, kMax, MassiveChannels},
      {"top_median_ratio", kMean, kMax, TopMedianRatio},
      {"kurtosis", kMean, kMean, Kurtosis},
      {"hidden_norm", kMean, kMean, HiddenNorm},
      {"matrix_entropy", kMean, kMean, MatrixEntropy},
      {"hidden_cosine", kPairMean, kMean, HiddenCosine},
      {"key_norm_ratio", kMean, kMean, KeyNormRatio},
      {"value_norm_ratio", kMean, kMean, ValueNormRatio},
      {"query_key_cosine", kMean, kMean, QueryKeyCosine},
      {"query_key_norm", kMean, kMean, QueryKeyNorm},
      {"sink_update", kMean, kMean, SinkUpdate},
      {"sink_update_deviation", kMean, kMean, SinkUpdateDeviation},
      {"sink_logit", kMean, kMean, LogitOfTheSink},
      {"gate_mean", kMean, kMean, GateMean},
      {"gate_sparsity", kMean, kMean, GateSparsity},
  };
  return table;
}

}  // namespace sink
