// See figures.h.
#include "coordinator/report/figures.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>

#include "coordinator/report/measures.h"
#include "proto/pipe/metric_name.h"

namespace sink::report {
namespace {

using charts::LineSeries;
using pipe::FormatMetricName;
using pipe::MetricKind;

constexpr size_t kMostSamples = 240;  // of a line: more than a screen shows apart

double TokensAStep(const Run& run) {
  const Json& batch = Setting(run, "train.global_batch_size");
  const Json& length = Setting(run, "train.sequence_length");
  return batch.is_number() && length.is_number() ? batch.get<double>() * length.get<double>() : 1;
}

// Neighbours become their mean.
void Thin(LineSeries* series) {
  const size_t size = series->x.size();
  if (size <= kMostSamples) return;
  const auto thin = [size](std::vector<double>* values) {
    std::vector<double> out;
    for (size_t i = 0; i < kMostSamples && !values->empty(); ++i) {
      const size_t first = i * size / kMostSamples, last = (i + 1) * size / kMostSamples;
      double sum = 0;
      for (size_t j = first; j < last; ++j) sum += (*values)[j];
      out.push_back(sum / static_cast<double>(last - first));
    }
    *values = std::move(out);
  };
  for (std::vector<double>* values : {&series->y, &series->low, &series->high, &series->x}) thin(values);
}

std::vector<const Point*> PointsOf(const Experiment& experiment) {
  std::vector<const Point*> points;
  for (const Point& point : experiment.points) points.push_back(&point);
  return points;
}

// Mean over those replicas that have the key; a band where several have.
LineSeries Aggregate(const std::map<int64_t, std::vector<double>>& values, double x_factor) {
  LineSeries series;
  bool replicated = false;
  for (const auto& [key, list] : values) {
    const bool finite = std::all_of(list.begin(), list.end(), [](double v) { return std::isfinite(v); });
    const Summary s = Summarize(list);
    series.x.push_back(static_cast<double>(key) * x_factor);
    series.y.push_back(finite ? s.mean : std::numeric_limits<double>::quiet_NaN());
    series.low.push_back(s.least);
    series.high.push_back(s.most);
    replicated |= s.n > 1;
  }
  if (!replicated) {
    series.low.clear();
    series.high.clear();
  }
  return series;
}

LineSeries MetricSeries(const Study& study, const Point& point, const std::string& metric, AxisUnit unit,
                        double scale) {
  std::map<int64_t, std::vector<double>> values;
  double factor = 1;
  for (const std::string& id : point.runs) {
    const Run& run = study.run(id);
    const auto curve = run.curves.find(metric);
    if (curve == run.curves.end()) continue;
    if (unit == AxisUnit::kTokens) factor = TokensAStep(run);
    for (const Sample& sample : curve->second) values[sample.step].push_back(scale * sample.value);
  }
  LineSeries series = Aggregate(values, factor);
  series.name = ShortLabel(point.label);
  Thin(&series);
  return series;
}

// The ratio of hidden norms at the newest measurement, over the layers.
LineSeries NormSeries(const Study& study, const Point& point) {
  std::map<int64_t, std::vector<double>> values;
  for (const std::string& id : point.runs)
    for (const auto& [text, curve] : study.run(id).curves) {
      const auto name = pipe::ParseMetricName(text);
      if (!name || name->kind != MetricKind::kHiddenNormRatio || name->layer == pipe::kAllLayers) continue;
      if (!curve.empty()) values[std::atoll(std::string(name->layer).c_str())].push_back(curve.back().value);
    }
  LineSeries series = Aggregate(values, 1);
  series.name = ShortLabel(point.label);
  return series;
}

std::string EpsilonOf(const Study& study, const Experiment& experiment) {
  for (const Point& point : experiment.points)
    for (const std::string& id : point.runs)
      if (std::string epsilon = Epsilon(study.run(id)); !epsilon.empty()) return epsilon;
  return "0.3";
}

// One metric of every point over the steps.
void AddMetric(const Study& study, const Experiment& experiment, const std::string& metric, double scale,
               const std::string& file, const std::string& title, const std::string& y_label,
               std::vector<Figure>* figures) {
  std::optional<LineChart> chart = MetricChart(study, PointsOf(experiment), metric, AxisUnit::kSteps, scale);
  if (!chart) return;
  chart->title = title + ": " + experiment.name;
  chart->y_label = y_label;
  chart->from_zero = true;
  figures->push_back({experiment.name + "-" + file, title + " over training steps. " + chart->description, *chart});
}

void AddLosses(const Study& study, const Experiment& experiment, std::vector<Figure>* figures) {
  const std::string train_loss = FormatMetricName({.kind = MetricKind::kTrainLoss});
  const std::string validation_loss =
      FormatMetricName({.kind = MetricKind::kValidationLoss, .domain = pipe::kAllDomains});
  LineChart chart;
  int color = 0;
  for (const Point& point : experiment.points) {
    LineSeries train = MetricSeries(study, point, train_loss, AxisUnit::kSteps, 1);
    LineSeries valid = MetricSeries(study, point, validation_loss, AxisUnit::kSteps, 1);
    train.color = valid.color = color++;
    train.dashed = true;
    train.low.clear();  // the band belongs to the validation loss
    train.high.clear();
    train.name += " (train)";
    valid.name += " (validation)";
    if (!valid.x.empty()) chart.series.push_back(std::move(valid));
    if (!train.x.empty()) chart.series.push_back(std::move(train));
  }
  if (chart.series.empty()) return;
  chart.title = "Loss: " + experiment.name;
  chart.description = "Cross-entropy in nats a token; validation solid, training dashed.";
  chart.x_label = "optimizer steps";
  chart.y_label = "loss (nats a token)";
  figures->push_back({experiment.name + "-loss", "Losses over training steps. " + chart.description, chart});
}

void AddNorms(const Study& study, const Experiment& experiment, std::vector<Figure>* figures) {
  LineChart chart;
  int color = 0;
  for (const Point& point : experiment.points) {
    LineSeries series = NormSeries(study, point);
    series.color = color++;
    if (!series.x.empty()) chart.series.push_back(std::move(series));
  }
  if (chart.series.empty()) return;
  chart.title = "Norm of the first token's hidden state: " + experiment.name;
  chart.description = "L2 norm of position 1 over the mean of the other positions, at the newest measurement.";
  chart.x_label = "layer (0: the embeddings)";
  chart.y_label = "norm ratio";
  chart.from_zero = true;
  figures->push_back({experiment.name + "-hidden_norm", "Hidden norms by layer. " + chart.description, chart});
}

// Sink rates, importance and losses over the steps.
void AddCurves(const Study& study, const Experiment& experiment, std::vector<Figure>* figures) {
  const std::string epsilon = EpsilonOf(study, experiment);
  const auto rate = [&epsilon](std::string_view position) {
    return FormatMetricName({.kind = MetricKind::kSinkRate, .epsilon = epsilon, .position = position});
  };
  const std::string alpha = FormatMetricName({.kind = MetricKind::kAlphaMax, .position = pipe::kFirstPosition});
  AddMetric(study, experiment, rate(pipe::kFirstPosition), 100, "sink_rate", "Sink rate of position 1", "sink rate (%)",
            figures);
  AddMetric(study, experiment, rate(pipe::kBiasPosition), 100, "bias_sink_rate", "Sink rate of the bias",
            "sink rate (%)", figures);
  AddMetric(study, experiment, alpha, 1, "alpha_1", "alpha_1 of the strongest head", "mean importance alpha_1",
            figures);
  AddLosses(study, experiment, figures);
}

}  // namespace

std::string Draw(const Chart& chart, Placement placement) {
  return std::visit([placement](const auto& kind) { return Draw(kind, placement); }, chart);
}

std::optional<LineChart> MetricChart(const Study& study, const std::vector<const Point*>& points,
                                     const std::string& metric, AxisUnit unit, double scale) {
  LineChart chart;
  bool bands = false;
  int color = 0;
  for (const Point* point : points) {
    LineSeries series = MetricSeries(study, *point, metric, unit, scale);
    series.color = color++;
    bands |= !series.low.empty();
    if (!series.x.empty()) chart.series.push_back(std::move(series));
  }
  if (chart.series.empty()) return std::nullopt;
  chart.title = metric;
  chart.description =
      bands ? "A line is the mean over replicas, its band from the least to the largest." : "One line a setting.";
  chart.x_label = unit == AxisUnit::kSteps ? "optimizer steps" : "tokens";
  chart.y_label = metric;
  return chart;
}

std::optional<HeatMapChart> MapChart(const Study& study, const std::vector<const Point*>& points,
                                     const std::string& name) {
  HeatMapChart chart;
  double most = 0;
  for (const Point* point : points) {
    const HeatMap* newest = nullptr;
    for (const std::string& id : point->runs) {
      if (newest) break;
      for (const HeatMap& map : study.run(id).heat_maps)
        if (map.name == name) newest = &map;
    }
    if (!newest) continue;
    for (double value : newest->values)
      if (std::isfinite(value)) most = std::max(most, value);
    chart.panels.push_back({ShortLabel(point->label), newest->layers, newest->heads, newest->values});
  }
  if (chart.panels.empty()) return std::nullopt;
  // One scale for every report's maps, but for models whose heads are all far from a sink.
  chart.most = most > 0.5 ? 1 : most > 0.25 ? 0.5 : 0.25;
  chart.title = name;
  chart.description = "Mean importance by layer and head, at the newest measurement of each setting's first run.";
  chart.row_label = "layer";
  chart.column_label = "head";
  chart.value_label = name;
  return chart;
}

std::vector<Figure> Figures(const Study& study, const Experiment& experiment) {
  std::vector<Figure> figures;
  if (Trains(study, experiment)) AddCurves(study, experiment, &figures);
  AddNorms(study, experiment, &figures);
  const auto add_map = [&](const std::string& name, const std::string& file, const std::string& title) {
    std::optional<HeatMapChart> chart = MapChart(study, PointsOf(experiment), name);
    if (!chart) return;
    chart->title = title + ": " + experiment.name;
    chart->value_label = "mean importance";
    figures.push_back({experiment.name + "-" + file, title + " by layer and head. " + chart->description, *chart});
  };
  add_map("alpha/1", "alpha_1_map", "Importance of position 1");
  add_map("alpha/bias", "alpha_bias_map", "Importance of the bias");
  return figures;
}

}  // namespace sink::report
