#include "model/train/measure/measurement.h"

#include <ATen/ops/amax.h>
#include <ATen/ops/mean.h>

#include <string>
#include <utility>

#include "proto/pipe/metric_name.h"

namespace sink::train {
namespace {

using pipe::MetricKind;

pipe::Heatmap HeatmapOf(const char* name, const at::Tensor& map_LH) {
  const at::Tensor map = map_LH.to(at::kDouble).contiguous();
  const double* cells = map.const_data_ptr<double>();
  return {.name = name,
          .layers = static_cast<int>(map.size(0)),
          .heads = static_cast<int>(map.size(1)),
          .values = {cells, cells + map.numel()}};
}

}  // namespace

Measurement MeasurementOf(const SinkReport& report, int64_t positions) {
  Measurement measurement;
  const auto add = [&](const pipe::MetricName& name, double value) {
    measurement.metrics.values.emplace_back(pipe::FormatMetricName(name), value);
  };
  const auto column_name = [&](int64_t column) {
    if (report.has_bias && column == 0) return std::string(pipe::kBiasPosition);
    return std::to_string(report.has_bias ? column : column + 1);
  };
  for (size_t e = 0; e < report.epsilon.size(); ++e) {
    const std::string epsilon = pipe::FormatEpsilon(report.epsilon[e]);
    for (int64_t column = 0; column < positions; ++column) {
      const std::string position = column_name(column);
      add({.kind = MetricKind::kSinkRate, .epsilon = epsilon, .position = position},
          report.sink_rate[e][static_cast<size_t>(column)]);
    }
  }

  const at::Tensor alpha_AK = report.importance.mean(0).flatten(0, 1);
  const at::Tensor mean_K = alpha_AK.mean(0), max_K = alpha_AK.amax(0);
  for (int64_t column = 0; column < positions; ++column) {
    const std::string position = column_name(column);
    add({.kind = MetricKind::kAlphaMean, .position = position}, mean_K[column].item<double>());
    add({.kind = MetricKind::kAlphaMax, .position = position}, max_K[column].item<double>());
  }
  for (size_t layer = 0; layer < report.hidden_norm_ratio.size(); ++layer)
    add({.kind = MetricKind::kHiddenNormRatio, .layer = std::to_string(layer)}, report.hidden_norm_ratio[layer]);
  for (const MetricSeries& metric : report.metrics) {
    for (size_t layer = 0; layer < metric.layers.size(); ++layer)
      add({.kind = MetricKind::kEvalMetric, .metric = metric.name, .layer = std::to_string(layer)},
          metric.layers[layer]);
    add({.kind = MetricKind::kEvalMetric, .metric = metric.name, .layer = pipe::kAllLayers}, metric.all);
  }

  measurement.heatmaps = {HeatmapOf("alpha/1", report.first_importance)};
  if (report.has_bias) measurement.heatmaps.push_back(HeatmapOf("alpha/bias", report.bias_importance));
  return measurement;
}

}  // namespace sink::train
