// The figures of a study, as charts: which lines, which bands, which maps. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/report/emergence.h"
#include "coordinator/report/labels.h"
#include "coordinator/report/study.h"
#include "proto/charts/svg.h"

namespace sink::report {

using charts::HeatMapChart;
using charts::IntervalChart;
using charts::LineChart;
using charts::Placement;

enum class AxisUnit { kSteps, kTokens };

using Chart = std::variant<LineChart, IntervalChart, HeatMapChart>;
std::string Draw(const Chart& chart, Placement placement);

struct Figure {
  std::string name;  // of its file, without ".svg": "learning_rate-sink_rate"
  std::string caption;
  Chart chart;
};

// Draws one metric: a line for each point, the mean over its replicas, in a band from the least to the largest. `scale`
// multiplies the values. Points without the metric have no line, nor over tokens those that train nothing; nothing when
// none has one. More than eight lines are drawn in small panels.
std::optional<LineChart> MetricChart(const Study& study, const std::vector<Line>& lines, const std::string& metric,
                                     AxisUnit unit = AxisUnit::kSteps, double scale = 1);
std::optional<LineChart> MetricChart(const Study& study, const std::vector<const Point*>& points,
                                     const std::string& metric, AxisUnit unit = AxisUnit::kSteps, double scale = 1);

// Takes, for each point, the newest map of that name from the first of its runs that has one.
std::optional<HeatMapChart> MapChart(const Study& study, const std::vector<Line>& lines, const std::string& name);
std::optional<HeatMapChart> MapChart(const Study& study, const std::vector<const Point*>& points,
                                     const std::string& name);

// What comes before the sink; `of` says of which runs. Nothing where no quantity has a lag.
std::optional<IntervalChart> OrderChart(const std::vector<Order>& orders, const std::string& of);

// The figures of an experiment, in the order in which a report shows them: sink rate, strongest head, losses, when the
// sink comes and in which order, hidden norms by layer, heat maps of alpha_1 and of the bias. Those without data are
// left out; one in which every line is 0 becomes a sentence.
struct FigureSet {
  std::vector<Figure> figures;
  std::vector<std::string> sentences;
};
FigureSet Figures(const Study& study, const Experiment& experiment, const Palette& palette);

}  // namespace sink::report
