// See figures.h.
#include "coordinator/report/figures.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <utility>

#include "coordinator/report/measures.h"
#include "proto/pipe/metric_name.h"

namespace sink::report {
namespace {

using charts::LineSeries;
using pipe::FormatMetricName;
using pipe::MetricKind;

constexpr size_t kMostLines = 8;      // in one plot: as many as there are colours, the base's among them
constexpr size_t kMostSamples = 240;  // of a line: more than a screen shows apart

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

// As the tables have them: the runs that succeeded, or all of them while none has.
std::vector<const Run*> RunsShown(const Study& study, const Point& point) {
  std::vector<const Run*> all, succeeded;
  for (const std::string& id : point.runs) {
    all.push_back(&study.run(id));
    if (all.back()->succeeded()) succeeded.push_back(all.back());
  }
  return succeeded.empty() ? all : succeeded;
}

LineSeries MetricSeries(const Study& study, const Line& line, const std::string& metric, AxisUnit unit, double scale) {
  std::map<int64_t, std::vector<double>> values;
  double factor = 1;
  for (const Run* run : RunsShown(study, *line.point)) {
    const auto curve = run->curves.find(metric);
    if (curve == run->curves.end()) continue;
    if (unit == AxisUnit::kTokens) {
      const std::optional<int64_t> tokens = TokensOfAStep(*run);
      if (!tokens) continue;
      factor = static_cast<double>(*tokens);
    }
    for (const Sample& sample : curve->second) values[sample.step].push_back(scale * sample.value);
  }
  LineSeries series = Aggregate(values, factor);
  series.name = line.label;
  series.color = line.color;
  Thin(&series);
  return series;
}

// The ratio of hidden norms at the newest measurement, over the layers.
LineSeries NormSeries(const Study& study, const Line& line) {
  std::map<int64_t, std::vector<double>> values;
  for (const Run* run : RunsShown(study, *line.point))
    for (const auto& [text, curve] : run->curves) {
      const auto name = pipe::ParseMetricName(text);
      if (!name || name->kind != MetricKind::kHiddenNormRatio || name->layer == pipe::kAllLayers) continue;
      if (!curve.empty()) values[std::atoll(std::string(name->layer).c_str())].push_back(curve.back().value);
    }
  LineSeries series = Aggregate(values, 1);
  series.name = line.label;
  series.color = line.color;
  return series;
}

std::string EpsilonOf(const Study& study, const Experiment& experiment) {
  for (const Point& point : experiment.points)
    for (const std::string& id : point.runs)
      if (std::string epsilon = Epsilon(study.run(id)); !epsilon.empty()) return epsilon;
  return "0.3";
}

// What a line ends with, and its name.
using End = std::pair<double, std::string>;

// " At the end: 0.31 learning_rate=0.001, 0.2 ..."; of many the most and the least.
std::string EndsText(const std::string& before, std::vector<End> ends, int decimals) {
  if (ends.empty()) return "";
  const bool too_many = ends.size() > kMostLines;
  if (too_many) {
    const auto [least, most] = std::minmax_element(ends.begin(), ends.end());
    ends = {*most, *least};
  }
  std::string text;
  for (const auto& [value, name] : ends) text += (text.empty() ? before : ", ") + Fixed(value, decimals) + " " + name;
  return text + (too_many ? " (the most and the least)." : ".");
}

bool IsAllZero(const LineChart& chart) {
  for (const LineSeries& series : chart.series)
    if (!std::all_of(series.y.begin(), series.y.end(), [](double y) { return y == 0; })) return false;
  return true;
}

// Collects the figures of one experiment.
class FigureMaker {
 public:
  FigureMaker(const Study& study, const Experiment& experiment, const Palette& palette)
      : study_(study), experiment_(experiment), lines_(LinesOf(experiment, palette)) {}

  FigureSet Make() {
    if (Trains(study_, experiment_)) {
      AddCurves();
      AddOnsets();
      AddOrder();
    }
    AddNorms();
    AddMap("alpha/1", "alpha_1_map", "Importance of position 1");
    AddMap("alpha/bias", "alpha_bias_map", "Importance of the bias");
    return std::move(set_);
  }

 private:
  void Add(const std::string& file, const std::string& title, Chart chart) {
    const std::string description = std::visit([](const auto& kind) { return kind.description; }, chart);
    set_.figures.push_back({experiment_.name + "-" + file, title + ". " + description, std::move(chart)});
  }

  // What a reader who cannot see the figure gets from it: the numbers that the table has of its lines, and apart from
  // them those of settings of which no run has succeeded. `of`: what a line's name has behind the setting.
  std::string AtTheEnd(Measure measure, const std::string& position, int decimals, const std::string& of = "") const {
    std::vector<End> ends, so_far;
    for (const Line& line : lines_) {
      const std::vector<const Run*> runs = RunsShown(study_, *line.point);
      const bool unfinished = std::none_of(runs.begin(), runs.end(), [](const Run* run) { return run->succeeded(); });
      const Summary summary = Summarize(study_, *line.point, measure, position, kEnd, unfinished);
      if (summary.n > 0) (unfinished ? so_far : ends).emplace_back(summary.mean, line.label + of);
    }
    return EndsText(" At the end: ", std::move(ends), decimals) +
           EndsText(" So far, where no run has succeeded: ", std::move(so_far), decimals);
  }

  // One metric of every point over the steps: that of a measure at a position.
  void AddMetric(const std::string& metric, Measure measure, const std::string& position, const std::string& file,
                 const std::string& title, const std::string& y_label) {
    const double scale = measure == Measure::kSinkRate ? 100 : 1;
    std::optional<LineChart> chart = MetricChart(study_, lines_, metric, AxisUnit::kSteps, scale);
    if (!chart) return;
    if (IsAllZero(*chart)) {
      set_.sentences.push_back(title + " is 0 in every setting from the first step to the last.");
      return;
    }
    chart->title = title + ": " + experiment_.name;
    chart->y_label = y_label;
    chart->from_zero = true;
    chart->description += AtTheEnd(measure, position, 2);
    Add(file, title + " over training steps", *chart);
  }

  // Sink rates, importance and losses over the steps.
  void AddCurves() {
    const std::string epsilon = EpsilonOf(study_, experiment_);
    const std::string first(pipe::kFirstPosition), bias(pipe::kBiasPosition);
    const auto rate = [&epsilon](const std::string& position) {
      return FormatMetricName({.kind = MetricKind::kSinkRate, .epsilon = epsilon, .position = position});
    };
    const std::string alpha = FormatMetricName({.kind = MetricKind::kAlphaMax, .position = first});
    AddMetric(rate(first), Measure::kSinkRate, first, "sink_rate", "Sink rate of position 1", "sink rate (%)");
    AddMetric(rate(bias), Measure::kSinkRate, bias, "bias_sink_rate", "Sink rate of the bias", "sink rate (%)");
    AddMetric(alpha, Measure::kAlphaMax, first, "alpha_1", "alpha_1 of the strongest head", "mean importance alpha_1");
    AddLosses();
  }

  void AddLosses() {
    const std::string train_loss = FormatMetricName({.kind = MetricKind::kTrainLoss});
    const std::string validation_loss =
        FormatMetricName({.kind = MetricKind::kValidationLoss, .domain = pipe::kAllDomains});
    LineChart chart;
    for (const Line& line : lines_) {
      LineSeries train = MetricSeries(study_, line, train_loss, AxisUnit::kSteps, 1);
      LineSeries valid = MetricSeries(study_, line, validation_loss, AxisUnit::kSteps, 1);
      train.dashed = true;
      train.low.clear();  // the band belongs to the validation loss
      train.high.clear();
      train.name += " (train)";
      valid.name += " (validation)";
      if (!valid.x.empty()) chart.series.push_back(std::move(valid));
      if (!train.x.empty()) chart.series.push_back(std::move(train));
    }
    if (chart.series.empty()) return;
    chart.panels = lines_.size() > kMostLines;
    chart.title = "Loss: " + experiment_.name;
    chart.description = "Cross-entropy in nats a token; validation solid, training dashed." +
                        AtTheEnd(Measure::kValidationLoss, std::string(pipe::kFirstPosition), 3, " (validation)");
    chart.x_label = "optimizer steps";
    chart.y_label = "loss (nats a token)";
    Add("loss", "Losses over training steps", std::move(chart));
  }

  // When the strongest head becomes a sink for good, over the seeds of each setting.
  void AddOnsets() {
    IntervalChart chart;
    int with = 0;
    for (const Line& line : lines_) {
      const Onsets onsets = AlphaOnsets(study_, *line.point, kOnsetAlpha);
      if (onsets.runs == 0) continue;
      charts::IntervalRow row{line.label, std::numeric_limits<double>::quiet_NaN(), std::nullopt, line.color, ""};
      const std::string count = std::to_string(onsets.steps.size()) + " of " + std::to_string(onsets.runs);
      row.note = onsets.median() == 0 ? "at step 0, " + count : "in " + count + (onsets.runs == 1 ? " run" : " runs");
      with += !onsets.steps.empty();
      if (const std::optional<double> median = onsets.median()) {
        row.value = *median;
        row.interval = {onsets.steps.front(), onsets.steps.back()};
      }
      chart.rows.push_back(std::move(row));
    }
    const std::string head = "alpha_1 of the strongest head", above = "above " + Fixed(kOnsetAlpha, 1) + " for good";
    if (chart.rows.empty()) return;
    if (with == 0) {
      set_.sentences.push_back("In no run is " + head + " " + above + ".");
      return;
    }
    chart.title = "When the sink comes to stay: " + experiment_.name;
    chart.description = "First step from which " + head + " is " + above +
                        ": median over the runs, where one that never reaches it is later than any, from the earliest "
                        "to the latest of those that do. A setting in which half of the runs or more never do has no "
                        "dot; the last measurement alone does not count.";
    chart.x_label = "optimizer steps";
    chart.marks = {0};
    Add("onset", "When the sink comes to stay", std::move(chart));
  }

  void AddOrder() {
    const std::vector<Order> orders = OrderOfEmergence(RunsWithAnEmergedSink(study_, experiment_));
    std::optional<IntervalChart> chart = OrderChart(orders, experiment_.name);
    if (chart) Add("order", "What comes before the sink", *std::move(chart));
  }

  void AddNorms() {
    LineChart chart;
    for (const Line& line : lines_) {
      LineSeries series = NormSeries(study_, line);
      if (!series.x.empty()) chart.series.push_back(std::move(series));
    }
    if (chart.series.empty()) return;
    chart.panels = chart.series.size() > kMostLines;
    chart.title = "Norm of the first token's hidden state: " + experiment_.name;
    chart.description = "L2 norm of position 1 over the mean of the other positions, at the newest measurement.";
    chart.x_label = "layer (0: the embeddings)";
    chart.y_label = "norm ratio";
    chart.from_zero = true;
    Add("hidden_norm", "Hidden norms by layer", std::move(chart));
  }

  void AddMap(const std::string& name, const std::string& file, const std::string& title) {
    std::optional<HeatMapChart> chart = MapChart(study_, lines_, name);
    if (!chart) return;
    chart->title = title + ": " + experiment_.name;
    chart->value_label = "mean importance";
    Add(file, title + " by layer and head", *std::move(chart));
  }

  const Study& study_;
  const Experiment& experiment_;
  const std::vector<Line> lines_;
  FigureSet set_;
};

}  // namespace

std::string Draw(const Chart& chart, Placement placement) {
  return std::visit([placement](const auto& kind) { return Draw(kind, placement); }, chart);
}

std::optional<IntervalChart> OrderChart(const std::vector<Order>& orders, const std::string& of) {
  IntervalChart chart;
  for (const Order& order : orders) {
    if (order.lag.empty()) continue;
    charts::IntervalRow row{QuantityText(order.quantity), order.mean, std::nullopt,
                            1 + static_cast<int>(chart.rows.size()), OrderText(order)};
    if (order.interval) row.interval = {order.interval->low, order.interval->high};
    chart.rows.push_back(std::move(row));
  }
  if (chart.rows.empty()) return std::nullopt;
  chart.title = "What comes before the sink: " + of;
  chart.description =
      "Steps by which each quantity has gone half of its way before the strongest head's alpha_1 has, in runs with a "
      "sink: mean over the settings, or over the seeds of one where there are few, and its 95 % interval; left of 0 it "
      "comes after.";
  chart.x_label = "optimizer steps before the sink";
  chart.marks = {0};
  return chart;
}

std::optional<LineChart> MetricChart(const Study& study, const std::vector<Line>& lines, const std::string& metric,
                                     AxisUnit unit, double scale) {
  LineChart chart;
  bool bands = false;
  for (const Line& line : lines) {
    LineSeries series = MetricSeries(study, line, metric, unit, scale);
    bands |= !series.low.empty();
    if (!series.x.empty()) chart.series.push_back(std::move(series));
  }
  if (chart.series.empty()) return std::nullopt;
  chart.panels = chart.series.size() > kMostLines;
  chart.title = metric;
  chart.description =
      bands ? "A line is the mean over replicas, its band from the least to the largest." : "One line a setting.";
  chart.x_label = unit == AxisUnit::kSteps ? "optimizer steps" : "tokens";
  chart.y_label = metric;
  return chart;
}

std::optional<LineChart> MetricChart(const Study& study, const std::vector<const Point*>& points,
                                     const std::string& metric, AxisUnit unit, double scale) {
  return MetricChart(study, LinesOf(points), metric, unit, scale);
}

std::optional<HeatMapChart> MapChart(const Study& study, const std::vector<Line>& lines, const std::string& name) {
  HeatMapChart chart;
  double most = 0;
  for (const Line& line : lines) {
    const HeatMap* newest = nullptr;
    for (const std::string& id : line.point->runs) {
      if (newest) break;
      for (const HeatMap& map : study.run(id).heat_maps)
        if (map.name == name) newest = &map;
    }
    if (!newest) continue;
    for (double value : newest->values)
      if (std::isfinite(value)) most = std::max(most, value);
    chart.panels.push_back({line.label, newest->layers, newest->heads, newest->values});
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

std::optional<HeatMapChart> MapChart(const Study& study, const std::vector<const Point*>& points,
                                     const std::string& name) {
  return MapChart(study, LinesOf(points), name);
}

FigureSet Figures(const Study& study, const Experiment& experiment, const Palette& palette) {
  return FigureMaker(study, experiment, palette).Make();
}

}  // namespace sink::report
