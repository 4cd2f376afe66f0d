// Lines over an axis of steps or tokens, with a legend below; see svg.h.
#include <algorithm>
#include <cmath>

#include "proto/charts/svg.h"
#include "proto/charts/svg_canvas.h"

namespace sink::charts {
namespace {

constexpr double kLeft = 64, kRight = 20, kTop = 40, kPlotHeight = 270;
constexpr double kLegendRow = 18, kLegendKey = 26;
constexpr size_t kLegendLetters = 60;

struct ChartAxis {
  std::vector<double> ticks;
  double begin = 0, end = 0;  // in pixels

  double At(double value) const {
    return begin + (value - ticks.front()) / (ticks.back() - ticks.front()) * (end - begin);
  }
  double step() const { return ticks[1] - ticks[0]; }
};

// The range of the finite ones among the values; [0, 1] when there is none.
std::pair<double, double> Range(const LineChart& chart, bool of_x) {
  double least = INFINITY, most = -INFINITY;
  const auto take = [&](const std::vector<double>& values) {
    for (double value : values) {
      if (!std::isfinite(value)) continue;
      least = std::min(least, value);
      most = std::max(most, value);
    }
  };
  for (const LineSeries& series : chart.series) {
    take(of_x ? series.x : series.y);
    if (of_x) continue;
    take(series.low);
    take(series.high);
  }
  if (!(least <= most)) return {0, 1};
  if (!of_x && chart.from_zero) least = std::min(least, 0.0);
  return {least, most};
}

std::string At(const ChartAxis& x, const ChartAxis& y, double x_value, double y_value) {
  return Coordinate(x.At(x_value)) + " " + Coordinate(y.At(y_value));
}

std::string LinePath(const LineSeries& series, const ChartAxis& x, const ChartAxis& y) {
  std::string d;
  bool pen_down = false;
  for (size_t i = 0; i < series.x.size(); ++i) {
    const bool finite = std::isfinite(series.y[i]);
    if (finite) d += (pen_down ? "L" : "M") + At(x, y, series.x[i], series.y[i]);
    // A point between two gaps shows as a dot: a line to itself.
    const bool alone = finite && !pen_down && (i + 1 == series.x.size() || !std::isfinite(series.y[i + 1]));
    if (alone) d += "L" + At(x, y, series.x[i], series.y[i]);
    pen_down = finite;
  }
  return d;
}

std::string BandPath(const LineSeries& series, const ChartAxis& x, const ChartAxis& y) {
  std::string d, back;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.low[i]) || !std::isfinite(series.high[i])) continue;
    d += (d.empty() ? "M" : "L") + At(x, y, series.x[i], series.high[i]);
    back = "L" + At(x, y, series.x[i], series.low[i]) + back;
  }
  return d.empty() ? d : d + back + "Z";
}

// The palette's colours repeat in another dash.
std::string StyleOf(const LineSeries& series) {
  std::string style = "series s" + std::to_string(series.color % kPaletteSize);
  if (series.dashed) return style + " dashed";
  return series.color >= kPaletteSize ? style + " dotted" : style;
}

double DrawLegend(const LineChart& chart, double top, Canvas* canvas) {
  double x = kLeft, y = top;
  for (const LineSeries& series : chart.series) {
    const std::string name = Shorten(series.name, kLegendLetters);
    const double width = kLegendKey + TextWidth(name) + 16;
    if (x > kLeft && x + width > kChartWidth - kRight) {
      x = kLeft;
      y += kLegendRow;
    }
    canvas->Line(x, y - 4, x + kLegendKey - 6, y - 4, StyleOf(series));
    canvas->Text(x + kLegendKey, y, name, "small");
    x += width;
  }
  return y;
}

}  // namespace

std::string Draw(const LineChart& chart, Placement placement) {
  const auto [x_least, x_most] = Range(chart, true);
  const auto [y_least, y_most] = Range(chart, false);
  const double bottom = kTop + kPlotHeight;
  ChartAxis x{NiceTicks(x_least, x_most, 7), kLeft, kChartWidth - kRight};
  const ChartAxis y{NiceTicks(y_least, y_most, 6), bottom, kTop};

  Canvas canvas;
  canvas.Text(kLeft, 22, chart.title, "title");
  for (double tick : y.ticks) {
    canvas.Line(kLeft, y.At(tick), kChartWidth - kRight, y.At(tick), "grid");
    canvas.Text(kLeft - 8, y.At(tick) + 4, TickText(tick, y.step()), "small", "end");
  }
  canvas.Line(kLeft, bottom, kChartWidth - kRight, bottom, "axis");
  for (double tick : x.ticks) {
    canvas.Line(x.At(tick), bottom, x.At(tick), bottom + 5, "axis");
    canvas.Text(x.At(tick), bottom + 19, TickText(tick, x.step()), "small", "middle");
  }
  canvas.Text((kLeft + kChartWidth - kRight) / 2, bottom + 38, chart.x_label, "label", "middle");
  canvas.VerticalText(16, kTop + kPlotHeight / 2, chart.y_label, "label");
  for (const LineSeries& series : chart.series) {
    if (series.low.empty()) continue;
    canvas.Path(BandPath(series, x, y), "band f" + std::to_string(series.color % kPaletteSize));
  }
  for (const LineSeries& series : chart.series) canvas.Path(LinePath(series, x, y), StyleOf(series));
  const double end = DrawLegend(chart, bottom + 62, &canvas);
  return canvas.Finish(end + 14, chart.title, chart.description, placement == Placement::kStandalone);
}

}  // namespace sink::charts
