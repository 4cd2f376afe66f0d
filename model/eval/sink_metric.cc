// Sink rates, importance and norms, gathered layer by layer during a forward pass.
#include "model/eval/sink_metric.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "model/attention.h"
#include "model/error.h"

namespace sink {
namespace {

constexpr int64_t kMaxScores = 1 << 22;  // values of one block of attention probabilities

// Sums over sequences (and heads) of the norms by position, [T], in double.
at::Tensor NormSum(const at::Tensor& x_TD_last) {
  const at::Tensor norm = at::linalg_vector_norm(x_TD_last, 2, at::IntArrayRef{-1}, false, at::kDouble);
  return norm.reshape({-1, norm.size(-1)}).sum(0).cpu();
}

class Collector : public Observer {
 public:
  Collector(int64_t layers, int64_t length)
      : hidden_(at::zeros({layers + 1, length}, at::kDouble)),
        key_(at::zeros({layers, length}, at::kDouble)),
        value_(at::zeros({layers, length}, at::kDouble)) {}

  void OnHidden(int64_t index, const at::Tensor& hidden_BTC) override {
    hidden_.select(0, index) += NormSum(hidden_BTC);
  }

  void OnAttention(int64_t layer, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value) override {
    if (layer == 0) batch_.clear();
    batch_.push_back(Importance(query, key).cpu());
    key_.select(0, layer) += NormSum(key) / static_cast<double>(key.size(1));
    value_.select(0, layer) += NormSum(value) / static_cast<double>(value.size(1));
  }

  at::Tensor BatchImportance() const { return at::stack(batch_, 1); }  // [B, L, H, T]
  const at::Tensor& hidden() const { return hidden_; }
  const at::Tensor& key() const { return key_; }
  const at::Tensor& value() const { return value_; }

 private:
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
  report.first_importance = report.importance.select(3, 0).mean(at::IntArrayRef{0}).contiguous();
  const at::Tensor& map = report.first_importance;
  report.mean_first_importance = map.mean(at::kDouble).item<double>();
  const float* values = map.const_data_ptr<float>();
  const int64_t strongest = std::max_element(values, values + map.numel()) - values;
  report.strongest_first_importance = values[strongest];
  report.strongest_layer = strongest / map.size(1);
  report.strongest_head = strongest % map.size(1);
}

}  // namespace

at::Tensor Importance(const at::Tensor& query_BHTD, const at::Tensor& key_BKTD) {
  const int64_t batch = query_BHTD.size(0), heads = query_BHTD.size(1), length = query_BHTD.size(2);
  const int64_t block = std::clamp<int64_t>(kMaxScores / (batch * heads * length), 1, length);
  at::Tensor sums = at::zeros({batch, heads, length}, query_BHTD.options().dtype(at::kFloat));
  for (int64_t first = 0; first < length; first += block)
    sums += AttentionProbabilities(query_BHTD, key_BKTD, first, std::min(block, length - first)).sum(2);
  return sums / at::arange(length, 0, -1, sums.options());
}

SinkReport MeasureSinks(Transformer& model, const at::Tensor& tokens_NT, const SinkOptions& options) {
  SinkReport report;
  report.sequences = tokens_NT.size(0);
  report.tokens = tokens_NT.size(1);
  if (report.sequences < 1 || report.tokens < 2 || options.positions > report.tokens)
    throw ModelError("sink metrics need sequences of at least 2 tokens, and no more positions than tokens");
  Collector collector(model.config().num_hidden_layers, report.tokens);
  std::vector<at::Tensor> importance;
  for (int64_t first = 0; first < report.sequences; first += options.batch) {
    model.Observe(tokens_NT.narrow(0, first, std::min(options.batch, report.sequences - first)), collector);
    importance.push_back(collector.BatchImportance());
  }
  report.importance = at::cat(importance);
  FillRates(options, report);
  FillFirstPosition(report);
  const auto mean = [&](const at::Tensor& sum) { return (sum / static_cast<double>(report.sequences)).to(at::kFloat); };
  report.hidden_norm = mean(collector.hidden());
  report.key_norm = mean(collector.key());
  report.value_norm = mean(collector.value());
  for (int64_t row = 0; row < report.hidden_norm.size(0); ++row) {
    const at::Tensor norms = report.hidden_norm.select(0, row).to(at::kDouble);
    report.hidden_norm_ratio.push_back(norms[0].item<double>() /
                                       norms.narrow(0, 1, report.tokens - 1).mean().item<double>());
  }
  return report;
}

}  // namespace sink
