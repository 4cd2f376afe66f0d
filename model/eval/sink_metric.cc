// Sink rates, importance, norms and the metrics asked for, gathered layer by layer during a forward pass.
#include "model/eval/sink_metric.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "model/base/model_error.h"
#include "model/eval/attention_blocks.h"

namespace sink {
namespace {

// Sums over sequences (and heads) of the norms by position, [T], in double.
at::Tensor NormSum(const at::Tensor& x_TD_last) {
  const at::Tensor norm = at::linalg_vector_norm(x_TD_last, 2, at::IntArrayRef{-1}).to(at::kDouble);
  return norm.reshape({-1, norm.size(-1)}).sum(0).cpu();
}

// NaN wins.
void KeepLargest(const at::Tensor& hidden_BPC, LargestValue& largest) {
  const at::Tensor size = hidden_BPC.abs().flatten();
  const int64_t place = size.argmax().item<int64_t>(), channels = hidden_BPC.size(2);
  const double value = size[place].item<double>();
  if (std::isnan(largest.value) || value <= largest.value) return;
  largest = {value, place / channels % hidden_BPC.size(1), place % channels};
}

// Importance of one layer, a block at a time.
class ColumnSums {
 public:
  explicit ColumnSums(const AttentionView& attention) {
    const at::Tensor& query = attention.query_BHTD;
    const bool column = attention.terms.HasColumn();
    sums_BHJ_ =
        at::zeros({query.size(0), query.size(1), query.size(2) + (column ? 1 : 0)}, query.options().dtype(at::kFloat));
    if (column) sums_BHJ_.select(2, 0).fill_(1);
  }

  void Add(const AttentionBlock& block) { sums_BHJ_ += block.probabilities_BHRJ.sum(2); }
  void AddAll(const at::Tensor& sums_BHJ) { sums_BHJ_ += sums_BHJ; }
  at::Tensor Importance() const { return sums_BHJ_ / at::arange(sums_BHJ_.size(2), 0, -1, sums_BHJ_.options()); }

 private:
  at::Tensor sums_BHJ_;
};

void FillRates(const SinkOptions& options, SinkReport& report) {
  report.epsilon = options.epsilon;
  // A comparison with NaN is false, which would count as no sink.
  const at::Tensor unknown = report.importance.isnan();
  report.unknown_heads = unknown.any(3).sum().item<int64_t>();
  for (const double epsilon : options.epsilon) {
    const at::Tensor above = report.importance.gt(epsilon).to(at::kDouble);
    const at::Tensor rate = above.masked_fill(unknown, std::numeric_limits<double>::quiet_NaN()).mean({0, 1, 2});
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
  const float* const end = values + map.numel();
  const float* place = std::find_if(values, end, [](float a) { return std::isnan(a); });  // NaN wins
  if (place == end) place = std::max_element(values, end);
  const int64_t strongest = place - values;
  report.strongest_first_importance = values[strongest];
  report.strongest_layer = strongest / map.size(1);
  report.strongest_head = strongest % map.size(1);
}

}  // namespace

at::Tensor Importance(const AttentionView& attention) {
  ColumnSums sums(attention);
  if (attention.key_sums)
    sums.AddAll(attention.key_sums());
  else
    ForBlocks(attention, [&](const AttentionBlock& block) { sums.Add(block); });
  return sums.Importance();
}

struct SinkMeter::Sums {
  Sums(const ModelConfig& config, int64_t sequences, int64_t tokens, SinkOptions options)
      : options(std::move(options)),
        sequences(sequences),
        tokens(tokens),
        has_bias(config.variant.key_bias != KeyBias::kNone || config.variant.sink_logit != SinkLogit::kNone ||
                 config.variant.sink_token),
        length(tokens + (config.variant.sink_token ? 1 : 0)),
        metrics(this->options.metrics, config),
        hidden(at::zeros({config.num_hidden_layers + 1, length}, at::kDouble)),
        key(at::zeros({config.num_hidden_layers, length}, at::kDouble)),
        value(at::zeros({config.num_hidden_layers, length}, at::kDouble)),
        normed(at::zeros({tokens}, at::kDouble)),
        importance(static_cast<size_t>(config.num_hidden_layers)) {
    if (this->options.largest) largest.resize(static_cast<size_t>(config.num_hidden_layers) + 1);
  }

  at::Tensor Mean(const at::Tensor& sum) const { return (sum / static_cast<double>(sequences)).to(at::kFloat); }

  const SinkOptions options;
  std::vector<LargestValue> largest;
  const int64_t sequences, tokens;
  const bool has_bias;
  const int64_t length;  // positions of the model
  MetricCollector metrics;
  at::Tensor hidden, key, value, normed;
  std::vector<std::vector<at::Tensor>> importance;  // [layer][group], [B, H, J]
};

SinkMeter::SinkMeter(const ModelConfig& config, int64_t sequences, int64_t tokens, const SinkOptions& options) {
  if (sequences < 1 || tokens < 2 || options.positions > tokens)
    throw ModelError("sink metrics need sequences of at least 2 tokens, and no more positions than tokens");
  sums_ = std::make_unique<Sums>(config, sequences, tokens, options);
}

SinkMeter::~SinkMeter() = default;

void SinkMeter::OnHidden(int64_t index, const at::Tensor& hidden_BPC) {
  if (sums_->options.largest) KeepLargest(hidden_BPC, sums_->largest[static_cast<size_t>(index)]);
  sums_->hidden.select(0, index) += NormSum(hidden_BPC);
  sums_->metrics.OnHidden(index, hidden_BPC);
}

void SinkMeter::OnNormed(const at::Tensor& hidden_BTC) { sums_->normed += NormSum(hidden_BTC); }

void SinkMeter::OnAttention(int64_t layer, const AttentionView& attention) {
  std::vector<at::Tensor>& importance = sums_->importance[static_cast<size_t>(layer)];
  if (!sums_->metrics.needs_blocks()) {
    importance.push_back(Importance(attention).cpu());
  } else {
    ColumnSums sums(attention);
    ForBlocks(attention, [&](const AttentionBlock& block) {
      sums.Add(block);
      sums_->metrics.OnBlock(layer, attention, block);
    });
    sums_->metrics.OnAttention(layer, attention);
    importance.push_back(sums.Importance().cpu());
  }
  const at::Tensor &key = attention.key_BKTD, &value = attention.value_BKTD;
  sums_->key.select(0, layer) += NormSum(key) / static_cast<double>(key.size(1));
  sums_->value.select(0, layer) += NormSum(value) / static_cast<double>(value.size(1));
}

SinkReport SinkMeter::Report() const {
  SinkReport report;
  report.sequences = sums_->sequences;
  report.tokens = sums_->tokens;
  report.has_bias = sums_->has_bias;
  std::vector<at::Tensor> layers;
  for (const std::vector<at::Tensor>& groups : sums_->importance) layers.push_back(at::cat(groups));
  report.importance = at::stack(layers, 1);
  const int64_t keys = report.importance.size(3), further = keys - report.tokens;  // before the text's
  if (further > 1)
    report.importance = at::cat({report.importance.narrow(3, 0, further).sum(3, /*keepdim=*/true),
                                 report.importance.narrow(3, further, report.tokens)},
                                3);
  FillRates(sums_->options, report);
  FillFirstPosition(report);
  report.largest = sums_->largest;
  report.metrics = sums_->metrics.Series();
  report.hidden_norm = sums_->Mean(sums_->hidden);
  report.key_norm = sums_->Mean(sums_->key);
  report.value_norm = sums_->Mean(sums_->value);
  report.normed_norm = sums_->Mean(sums_->normed);
  for (int64_t row = 0; row < report.hidden_norm.size(0); ++row) {
    const at::Tensor norms = report.hidden_norm.select(0, row).to(at::kDouble);
    report.hidden_norm_ratio.push_back(norms[0].item<double>() /
                                       norms.narrow(0, 1, sums_->length - 1).mean().item<double>());
  }
  return report;
}

SinkReport MeasureSinks(Transformer& model, const at::Tensor& tokens_BT, const SinkOptions& options) {
  SinkMeter meter(model.config(), tokens_BT.size(0), tokens_BT.size(1), options);
  for (int64_t first = 0; first < tokens_BT.size(0); first += options.batch)
    model.Observe(tokens_BT.narrow(0, first, std::min(options.batch, tokens_BT.size(0) - first)), meter);
  return meter.Report();
}

}  // namespace sink
