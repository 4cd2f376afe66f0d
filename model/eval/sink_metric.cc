// Sink rates, importance, norms and the metrics asked for, gathered layer by layer during a forward pass.
#include "model/eval/sink_metric.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "model/error.h"
#include "model/eval/attention_blocks.h"

namespace sink {
namespace {

// Sums over sequences (and heads) of the norms by position, [T], in double.
at::Tensor NormSum(const at::Tensor& x_TD_last) {
  const at::Tensor norm = at::linalg_vector_norm(x_TD_last, 2, at::IntArrayRef{-1}, false, at::kDouble);
  return norm.reshape({-1, norm.size(-1)}).sum(0).cpu();
}

// Importance of one layer, a block at a time.
class ColumnSums {
 public:
  explicit ColumnSums(const AttentionView& attention) {
    const at::Tensor& query = attention.query_BHTD;
    const bool column = attention.terms.HasColumn();
    sums_BHK_ =
        at::zeros({query.size(0), query.size(1), query.size(2) + (column ? 1 : 0)}, query.options().dtype(at::kFloat));
    if (column) sums_BHK_.select(2, 0).fill_(1);
  }

  void Add(const AttentionBlock& block) { sums_BHK_ += block.probabilities_BHRK.sum(2); }
  at::Tensor Importance() const { return sums_BHK_ / at::arange(sums_BHK_.size(2), 0, -1, sums_BHK_.options()); }

 private:
  at::Tensor sums_BHK_;
};

class Collector : public Observer {
 public:
  Collector(const ModelConfig& config, int64_t length, const std::vector<std::string>& metrics)
      : metrics_(metrics, config),
        hidden_(at::zeros({config.num_hidden_layers + 1, length}, at::kDouble)),
        key_(at::zeros({config.num_hidden_layers, length}, at::kDouble)),
        value_(at::zeros({config.num_hidden_layers, length}, at::kDouble)) {}

  void OnHidden(int64_t index, const at::Tensor& hidden_BTC) override {
    hidden_.select(0, index) += NormSum(hidden_BTC);
    metrics_.OnHidden(index, hidden_BTC);
  }

  void OnAttention(int64_t layer, const AttentionView& attention) override {
    if (layer == 0) batch_.clear();
    ColumnSums sums(attention);
    ForBlocks(attention, [&](const AttentionBlock& block) {
      sums.Add(block);
      metrics_.OnBlock(layer, attention, block);
    });
    metrics_.OnAttention(layer, attention);
    batch_.push_back(sums.Importance().cpu());
    const at::Tensor &key = attention.key_BKTD, &value = attention.value_BKTD;
    key_.select(0, layer) += NormSum(key) / static_cast<double>(key.size(1));
    value_.select(0, layer) += NormSum(value) / static_cast<double>(value.size(1));
  }

  at::Tensor BatchImportance() const { return at::stack(batch_, 1); }  // [B, L, H, T]
  const at::Tensor& hidden() const { return hidden_; }
  const at::Tensor& key() const { return key_; }
  const at::Tensor& value() const { return value_; }
  const MetricCollector& metrics() const { return metrics_; }

 private:
  MetricCollector metrics_;
  at::Tensor hidden_, key_, value_;
  std::vector<at::Tensor> batch_;
};

void FillRates(const SinkOptions& options, SinkReport& report) {
  report.epsilon = options.epsilon;
  for (const double epsilon : options.epsilon) {
    const at::Tensor rate = report.importance.gt(epsilon).to(at::kDouble).mean(at::IntArrayRef{0, 1, 2});
    const double* rates = rate.const_data_ptr<double>();
    report.sink_rate.emplace_back(rates, rates + options.positions);
  }
}

void FillFirstPosition(SinkReport& report) {
  const auto mean_of = [&](int64_t column) {
    return report.importance.select(3, column).mean(at::IntArrayRef{0}).contiguous();
  };
  if (report.has_bias) report.bias_importance = mean_of(0);
  report.first_importance = mean_of(report.has_bias ? 1 : 0);
  const at::Tensor& map = report.first_importance;
  report.mean_first_importance = map.mean(at::kDouble).item<double>();
  const float* values = map.const_data_ptr<float>();
  const int64_t strongest = std::max_element(values, values + map.numel()) - values;
  report.strongest_first_importance = values[strongest];
  report.strongest_layer = strongest / map.size(1);
  report.strongest_head = strongest % map.size(1);
}

}  // namespace

at::Tensor Importance(const AttentionView& attention) {
  ColumnSums sums(attention);
  ForBlocks(attention, [&](const AttentionBlock& block) { sums.Add(block); });
  return sums.Importance();
}

SinkReport MeasureSinks(Transformer& model, const at::Tensor& tokens_NT, const SinkOptions& options) {
  SinkReport report;
  report.sequences = tokens_NT.size(0);
  report.tokens = tokens_NT.size(1);
  if (report.sequences < 1 || report.tokens < 2 || options.positions > report.tokens)
    throw ModelError("sink metrics need sequences of at least 2 tokens, and no more positions than tokens");
  const VariantConfig& variant = model.config().variant;
  report.has_bias = variant.key_bias != "none" || variant.sink_logit != "none" || variant.sink_token;
  const int64_t length = report.tokens + (variant.sink_token ? 1 : 0);
  Collector collector(model.config(), length, options.metrics);
  std::vector<at::Tensor> importance;
  for (int64_t first = 0; first < report.sequences; first += options.batch) {
    model.Observe(tokens_NT.narrow(0, first, std::min(options.batch, report.sequences - first)), collector);
    importance.push_back(collector.BatchImportance());
  }
  report.importance = at::cat(importance);
  const int64_t keys = report.importance.size(3), further = keys - report.tokens;  // before the text's
  if (further > 1)
    report.importance = at::cat({report.importance.narrow(3, 0, further).sum(3, /*keepdim=*/true),
                                 report.importance.narrow(3, further, report.tokens)},
                                3);
  FillRates(options, report);
  FillFirstPosition(report);
  report.metrics = collector.metrics().Series();
  const auto mean = [&](const at::Tensor& sum) { return (sum / static_cast<double>(report.sequences)).to(at::kFloat); };
  report.hidden_norm = mean(collector.hidden());
  report.key_norm = mean(collector.key());
  report.value_norm = mean(collector.value());
  for (int64_t row = 0; row < report.hidden_norm.size(0); ++row) {
    const at::Tensor norms = report.hidden_norm.select(0, row).to(at::kDouble);
    report.hidden_norm_ratio.push_back(norms[0].item<double>() / norms.narrow(0, 1, length - 1).mean().item<double>());
  }
  return report;
}

}  // namespace sink
