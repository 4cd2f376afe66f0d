// Layer by head maps side by side on one colour scale; see svg.h.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "proto/charts/svg.h"
#include "proto/charts/svg_canvas.h"

namespace sink::charts {
namespace {

constexpr double kLeft = 56, kTop = 40, kGapX = 44, kGapY = 58, kTitle = 20, kScaleHeight = 10;

// cividis (Nunez, Anderton and Renslow 2018), eleven of its colours.
constexpr std::array<std::array<int, 3>, 11> kCividis = {{{0, 34, 78},
                                                          {18, 53, 112},
                                                          {59, 73, 108},
                                                          {87, 93, 109},
                                                          {112, 113, 115},
                                                          {138, 134, 120},
                                                          {165, 156, 116},
                                                          {195, 179, 105},
                                                          {225, 204, 85},
                                                          {245, 220, 70},
                                                          {254, 232, 56}}};

std::string Color(double share) {
  const double at = std::clamp(share, 0.0, 1.0) * (kCividis.size() - 1);
  const auto below = std::min(static_cast<size_t>(at), kCividis.size() - 2);
  char text[8];
  std::array<int, 3> rgb;
  for (size_t c = 0; c < 3; ++c) {
    const double from = kCividis[below][c], to = kCividis[below + 1][c];
    rgb[c] = static_cast<int>(std::lround(from + (to - from) * (at - static_cast<double>(below))));
  }
  std::snprintf(text, sizeof text, "#%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
  return text;
}

std::string Rectangle(double x, double y, double width, double height, const std::string& fill,
                      const std::string& title) {
  return "<rect x=\"" + Coordinate(x) + "\" y=\"" + Coordinate(y) + "\" width=\"" + Coordinate(width) + "\" height=\"" +
         Coordinate(height) + "\" fill=\"" + fill + "\">" +
         (title.empty() ? "" : "<title>" + EscapeXml(title) + "</title>") + "</rect>\n";
}

void DrawPanel(const HeatMapChart& chart, const HeatMapPanel& panel, double x, double y, double cell, Canvas* canvas) {
  canvas->Text(x, y - 7, Shorten(panel.title, static_cast<size_t>(std::max(18.0, panel.columns * cell / 6))), "small");
  for (int row = 0; row < panel.rows; ++row) {
    for (int column = 0; column < panel.columns; ++column) {
      const auto index = static_cast<size_t>(row) * static_cast<size_t>(panel.columns) + static_cast<size_t>(column);
      if (index >= panel.values.size()) continue;
      const double value = panel.values[index];
      char text[96];
      std::snprintf(text, sizeof text, " %d, %s %d: %.3f", row, chart.column_label.c_str(), column, value);
      const std::string fill =
          std::isfinite(value) ? Color((value - chart.least) / (chart.most - chart.least)) : "#808080";
      canvas->Add(Rectangle(x + column * cell, y + (panel.rows - 1 - row) * cell, cell - 0.5, cell - 0.5, fill,
                            chart.row_label + text));
    }
    const int stride = panel.rows > 12 ? 4 : panel.rows > 6 ? 2 : 1;
    if (row % stride == 0)
      canvas->Text(x - 5, y + (panel.rows - 1 - row) * cell + cell / 2 + 4, std::to_string(row), "small", "end");
  }
  for (int column = 0; column < panel.columns; ++column) {
    if (panel.columns > 8 && column % 4 != 0) continue;
    canvas->Text(x + column * cell + cell / 2, y + panel.rows * cell + 13, std::to_string(column), "small", "middle");
  }
}

}  // namespace

std::string Draw(const HeatMapChart& chart, Placement placement) {
  int rows = 1, columns = 1;
  for (const HeatMapPanel& panel : chart.panels) {
    rows = std::max(rows, panel.rows);
    columns = std::max(columns, panel.columns);
  }
  const double cell = std::clamp(200.0 / std::max(rows, columns), 8.0, 28.0);
  const double width = std::max(columns * cell, 120.0) + kGapX, height = rows * cell + kGapY;
  const int across = std::max(1, static_cast<int>((kChartWidth - kLeft) / width));

  Canvas canvas;
  canvas.Text(kLeft - 26, 22, chart.title, "title");
  double bottom = kTop;
  for (size_t i = 0; i < chart.panels.size(); ++i) {
    const double x = kLeft + static_cast<double>(i % across) * width;
    const double y = kTop + kTitle + static_cast<double>(i / across) * height;
    DrawPanel(chart, chart.panels[i], x, y, cell, &canvas);
    bottom = std::max(bottom, y + rows * cell);
  }
  canvas.VerticalText(18, kTop + kTitle + rows * cell / 2, chart.row_label, "label");
  canvas.Text(kLeft + columns * cell / 2, bottom + 30, chart.column_label, "label", "middle");

  const double scale_left = kChartWidth - 300, scale_width = 200, scale_top = bottom + 22;
  constexpr int kSteps = 40;
  for (int i = 0; i < kSteps; ++i)
    canvas.Add(Rectangle(scale_left + i * scale_width / kSteps, scale_top, scale_width / kSteps + 0.3, kScaleHeight,
                         Color((i + 0.5) / kSteps), ""));
  canvas.Text(scale_left - 6, scale_top + 9, TickText(chart.least, (chart.most - chart.least) / 10), "small", "end");
  canvas.Text(scale_left + scale_width + 6, scale_top + 9, TickText(chart.most, (chart.most - chart.least) / 10),
              "small");
  canvas.Text(scale_left + scale_width / 2, scale_top + 26, chart.value_label, "label", "middle");
  return canvas.Finish(bottom + 60, chart.title, chart.description, placement == Placement::kStandalone);
}

}  // namespace sink::charts
