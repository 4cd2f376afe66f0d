// Lines over an axis of steps or tokens, in one plot with a legend below or in small panels; see svg.h.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>

#include "proto/charts/svg.h"
#include "proto/charts/svg_canvas.h"

namespace sink::charts {
namespace {

constexpr double kLeft = 64, kRight = 20, kTop = 40, kPlotHeight = 270;
constexpr double kLegendRow = 18, kLegendKey = 26;
constexpr size_t kLegendLetters = 60;
constexpr size_t kMostHovers = 600;  // of a chart: a page with 48 lines in it still opens at once
constexpr double kPanelHeight = 96, kPanelGap = 14, kPanelTitleLine = 13;
constexpr int kPanelColumns = 4;
constexpr size_t kPanelLetters = 27, kPanelTitleLines = 3;

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

std::string StyleOf(const LineSeries& series) {
  static constexpr const char* kDashes[] = {"", " dotted", " dash-dot", " long-dash"};
  const Look look = LookOf(series.color);
  const size_t round = static_cast<size_t>(look.round);
  const bool thin = round / std::size(kDashes) % 2 == 1;  // the dashes once more
  return "series s" + std::to_string(look.color) + (series.dashed ? " dashed" : kDashes[round % std::size(kDashes)]) +
         (thin ? " thin" : "");
}

// Invisible dots that say their values where the mouse is.
void DrawHovers(const LineSeries& series, const ChartAxis& x, const ChartAxis& y, size_t most, Canvas* canvas) {
  const size_t size = series.x.size(), every = size / std::max<size_t>(1, most) + 1;
  for (size_t i = (size - 1) % every; i < size; i += every) {  // the last one is among them
    if (!std::isfinite(series.y[i])) continue;
    std::string text = series.name + ", " + TickText(series.x[i], 1) + ": " + TickText(series.y[i], 1e-3);
    if (!series.low.empty())
      text += " (" + TickText(series.low[i], 1e-3) + " to " + TickText(series.high[i], 1e-3) + ")";
    canvas->Add("<circle class=\"hover\" cx=\"" + Coordinate(x.At(series.x[i])) + "\" cy=\"" +
                Coordinate(y.At(series.y[i])) + "\" r=\"4\"><title>" + EscapeXml(text) + "</title></circle>\n");
  }
}

void DrawSeries(const std::vector<const LineSeries*>& all, const ChartAxis& x, const ChartAxis& y, size_t hovers,
                Canvas* canvas) {
  for (const LineSeries* series : all) {
    if (series->low.empty()) continue;
    canvas->Path(BandPath(*series, x, y), "band f" + std::to_string(LookOf(series->color).color));
  }
  for (const LineSeries* series : all) canvas->Path(LinePath(*series, x, y), StyleOf(*series));
  for (const LineSeries* series : all)
    if (hovers > 0 && !series->x.empty()) DrawHovers(*series, x, y, hovers, canvas);
}

// The same for the same chart, and another for another one of a page.
std::string NameOf(const LineChart& chart) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (unsigned char byte : chart.title + chart.y_label) hash = (hash ^ byte) * 16777619u;
  return "lines" + std::to_string(hash);
}

// The words of a name on lines as wide as a panel; the last of them is cut where there are too many.
std::vector<std::string> PanelTitle(const std::string& name) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find(' ', begin), name.size());
    const std::string word = name.substr(begin, end - begin);
    const bool fits = !lines.empty() && lines.back().size() + 1 + word.size() <= kPanelLetters;
    if (fits || lines.size() == kPanelTitleLines)
      lines.back() += " " + word;
    else
      lines.push_back(word);
    begin = end + 1;
  }
  for (std::string& line : lines) line = Shorten(line, kPanelLetters);
  return lines;
}

// A panel for each colour, four a row, all on the same axes.
std::string DrawPanels(const LineChart& chart, size_t hovers, Placement placement) {
  const auto [x_least, x_most] = Range(chart, true);
  const auto [y_least, y_most] = Range(chart, false);
  const double width = (kChartWidth - kLeft - kRight - (kPanelColumns - 1) * kPanelGap) / kPanelColumns;
  ChartAxis x{NiceTicks(x_least, x_most, 3), 0, width};
  ChartAxis y{NiceTicks(y_least, y_most, 3), kPanelHeight, 0};
  std::vector<std::pair<int, std::vector<const LineSeries*>>> panels;
  std::string others;
  for (const LineSeries& series : chart.series) {
    auto panel = std::find_if(panels.begin(), panels.end(), [&](const auto& p) { return p.first == series.color; });
    if (panel == panels.end()) panel = panels.insert(panel, {series.color, {}});
    panel->second.push_back(&series);
    if (!series.dashed) others += LinePath(series, x, y);
  }
  size_t title_lines = 1;
  for (const auto& [color, series] : panels)
    title_lines = std::max(title_lines, PanelTitle(series.front()->name).size());
  const double title_height = kPanelTitleLine * static_cast<double>(title_lines) + 5;
  Canvas canvas;
  canvas.Text(kLeft, 22, chart.title, "title");
  canvas.Add("<defs><path id=\"" + NameOf(chart) + "\" d=\"" + others + "\"/></defs>\n");
  double bottom = kTop;
  for (size_t i = 0; i < panels.size(); ++i) {
    const size_t row = i / kPanelColumns, column = i % kPanelColumns;
    const double left = kLeft + static_cast<double>(column) * (width + kPanelGap);
    const double top = kTop + title_height + static_cast<double>(row) * (kPanelHeight + title_height + kPanelGap);
    x.begin = left, x.end = left + width, y.begin = top + kPanelHeight, y.end = top;
    bottom = y.begin;
    const std::vector<std::string> title = PanelTitle(panels[i].second.front()->name);
    for (size_t line = 0; line < title.size(); ++line)
      canvas.Text(left, top - 5 - kPanelTitleLine * static_cast<double>(title.size() - 1 - line), title[line], "small");
    for (double tick : {y.ticks.front(), y.ticks.back()}) {
      canvas.Line(left, y.At(tick), left + width, y.At(tick), "grid");
      if (column == 0) canvas.Text(kLeft - 8, y.At(tick) + 4, TickText(tick, y.step()), "small", "end");
    }
    canvas.Add("<use class=\"others\" href=\"#" + NameOf(chart) + "\" x=\"" + Coordinate(left) + "\" y=\"" +
               Coordinate(top) + "\"/>\n");
    DrawSeries(panels[i].second, x, y, hovers, &canvas);
  }
  for (size_t column = 0; column < std::min<size_t>(panels.size(), kPanelColumns); ++column) {
    const double left = kLeft + static_cast<double>(column) * (width + kPanelGap);
    canvas.Text(left, bottom + 16, TickText(x.ticks.front(), x.step()), "small");
    canvas.Text(left + width, bottom + 16, TickText(x.ticks.back(), x.step()), "small", "end");
  }
  canvas.Text((kLeft + kChartWidth - kRight) / 2, bottom + 34, chart.x_label, "label", "middle");
  canvas.VerticalText(16, (kTop + bottom) / 2, chart.y_label, "label");
  return canvas.Finish(bottom + 46, chart.title, chart.description, placement == Placement::kStandalone);
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
  const size_t hovers =
      placement == Placement::kInline ? kMostHovers / std::max<size_t>(1, chart.series.size()) + 1 : 0;
  if (chart.panels) return DrawPanels(chart, hovers, placement);
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
  std::vector<const LineSeries*> all;
  for (const LineSeries& series : chart.series) all.push_back(&series);
  DrawSeries(all, x, y, hovers, &canvas);
  const double end = DrawLegend(chart, bottom + 62, &canvas);
  return canvas.Finish(end + 14, chart.title, chart.description, placement == Placement::kStandalone);
}

}  // namespace sink::charts
