#include "model/train/measure/measurement.h"

#include <ATen/ops/amax.h>
#include <ATen/ops/mean.h>

#include <cstdio>
#include <string>
#include <utility>

namespace sink::train {
namespace {

std::string SinkRateName(double epsilon, const std::string& column) {
  char text[64];
  std::snprintf(text, sizeof text, "sink_rate/%.6g/", epsilon);
  return text + column;
}

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
  const auto add = [&](std::string name, double value) {
    measurement.metrics.values.emplace_back(std::move(name), value);
  };
  const auto column_name = [&](int64_t column) {
    if (report.has_bias && column == 0) return std::string("bias");
    return std::to_string(report.has_bias ? column : column + 1);
  };
  for (size_t e = 0; e < report.epsilon.size(); ++e)
    for (int64_t column = 0; column < positions; ++column)
      add(SinkRateName(report.epsilon[e], column_name(column)), report.sink_rate[e][static_cast<size_t>(column)]);

  const at::Tensor alpha_AK = report.importance.mean(0).flatten(0, 1);
  const at::Tensor mean_K = alpha_AK.mean(0), max_K = alpha_AK.amax(0);
  for (int64_t column = 0; column < positions; ++column) {
    add("alpha_mean/" + column_name(column), mean_K[column].item<double>());
    add("alpha_max/" + column_name(column), max_K[column].item<double>());
  }
  for (size_t layer = 0; layer < report.hidden_norm_ratio.size(); ++layer)
    add("hidden_norm_ratio/" + std::to_string(layer), report.hidden_norm_ratio[layer]);
  for (const MetricSeries& metric : report.metrics) {
    for (size_t layer = 0; layer < metric.layers.size(); ++layer)
      add(metric.name + "/" + std::to_string(layer), metric.layers[layer]);
    add(metric.name + "/all", metric.all);
  }

  measurement.heatmaps = {HeatmapOf("alpha/1", report.first_importance)};
  if (report.has_bias) measurement.heatmaps.push_back(HeatmapOf("alpha/bias", report.bias_importance));
  return measurement;
}

}  // namespace sink::train
