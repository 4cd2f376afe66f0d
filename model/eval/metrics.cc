#include "model/eval/metrics.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "model/base/model_error.h"

namespace sink {
namespace {

at::Tensor Plus(Reduction reduction, const at::Tensor& total, const at::Tensor& samples) {
  at::Tensor value;
  if (reduction == Reduction::kMean) value = samples.sum(at::kDouble).cpu();
  if (reduction == Reduction::kPairMean) value = samples.to(at::kDouble).cpu();
  if (reduction == Reduction::kMax) {
    if (samples.numel() == 0) return total;
    value = samples.max().to(at::kDouble).cpu();
    return total.defined() ? at::maximum(total, value) : value;  // NaN wins
  }
  return total.defined() ? total + value : value;
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool HasNan(const HiddenView& view) { return view.hidden_PC.isnan().any().item<bool>(); }
bool HasNan(const BlockView& view) { return view.block.weights_BHRJ.isnan().any().item<bool>(); }
bool HasNan(const LayerView& view) { return view.attention.output_BHTD.isnan().any().item<bool>(); }

double Reduced(Reduction reduction, const at::Tensor& total, int64_t count) {
  const auto n = static_cast<double>(count);
  switch (reduction) {
    case Reduction::kMean:
      return total.item<double>() / n;
    case Reduction::kMax:
      return total.item<double>();
    case Reduction::kPairMean:  // |sum of u|^2 has every pair twice, and each unit vector with itself
      return (at::dot(total, total).item<double>() - n) / (n * (n - 1));
  }
  return 0;
}

double OverLayers(Reduction reduction, const std::vector<double>& layers) {
  if (reduction == Reduction::kMax)  // NaN wins
    return std::accumulate(layers.begin(), layers.end(), -std::numeric_limits<double>::infinity(),
                           [](double a, double b) { return std::isnan(a) || a > b ? a : b; });
  return std::accumulate(layers.begin(), layers.end(), 0.0) / static_cast<double>(layers.size());
}

}  // namespace

MetricCollector::MetricCollector(const std::vector<std::string>& names, const ModelConfig& config)
    : text_start_(config.variant.sink_token ? 1 : 0) {
  for (const Metric& metric : MetricTable())
    if (std::find(names.begin(), names.end(), metric.name) != names.end()) chosen_.push_back({&metric, {}});
  for (const std::string& name : names)
    if (std::find(EvalMetrics().begin(), EvalMetrics().end(), name) == EvalMetrics().end())
      throw ModelError("there is no metric " + name);
}

template <typename Samples, typename View>
void MetricCollector::Add(int64_t index, const View& view) {
  for (Chosen& chosen : chosen_) {
    const Samples* function = std::get_if<Samples>(&chosen.metric->function);
    if (function == nullptr) continue;
    at::Tensor samples = (*function)(view);
    if (!samples.defined()) continue;
    // A comparison with NaN is false, and a count of such comparisons would look like any other.
    if (!samples.is_floating_point() && HasNan(view)) samples = at::full({}, kNan, at::kDouble);
    if (std::cmp_less_equal(chosen.layers.size(), index)) chosen.layers.resize(static_cast<size_t>(index) + 1);
    Total& total = chosen.layers[static_cast<size_t>(index)];
    const Reduction reduction = chosen.metric->samples;
    total.value = Plus(reduction, total.value, samples);
    total.count += reduction == Reduction::kPairMean ? 1 : samples.numel();
  }
}

bool MetricCollector::needs_blocks() const {
  return std::any_of(chosen_.begin(), chosen_.end(), [](const Chosen& chosen) {
    return !std::holds_alternative<HiddenSamples>(chosen.metric->function);
  });
}

void MetricCollector::OnHidden(int64_t index, const at::Tensor& hidden_BPC) {
  const bool wanted = std::any_of(chosen_.begin(), chosen_.end(), [](const Chosen& chosen) {
    return std::holds_alternative<HiddenSamples>(chosen.metric->function);
  });
  for (int64_t b = 0; wanted && b < hidden_BPC.size(0); ++b)
    Add<HiddenSamples>(index, HiddenView{hidden_BPC.select(0, b).to(at::kDouble), text_start_});
}

void MetricCollector::OnBlock(int64_t layer, const AttentionView& attention, const AttentionBlock& block) {
  const AttentionBlock text = block.From(text_start_);
  const int64_t first_key = text_start_ + (attention.terms.HasColumn() ? 1 : 0);
  first_weights_.push_back(text.weights_BHRJ.select(3, first_key));
  Add<BlockSamples>(layer, BlockView{attention, text, text_start_, first_key});
}

void MetricCollector::OnAttention(int64_t layer, const AttentionView& attention) {
  Add<LayerSamples>(layer, LayerView{attention, at::cat(first_weights_, 2), text_start_});
  first_weights_.clear();
}

std::vector<MetricSeries> MetricCollector::Series() const {
  std::vector<MetricSeries> all;
  for (const Chosen& chosen : chosen_) {
    if (chosen.layers.empty()) continue;
    MetricSeries series{.name = chosen.metric->name, .layers = {}};
    for (const Total& total : chosen.layers)
      series.layers.push_back(Reduced(chosen.metric->samples, total.value, total.count));
    series.all = OverLayers(chosen.metric->layers, series.layers);
    all.push_back(std::move(series));
  }
  return all;
}

}  // namespace sink
