// Values with intervals, one a row; see svg.h.
#include <algorithm>
#include <cmath>

#include "proto/charts/svg.h"
#include "proto/charts/svg_canvas.h"

namespace sink::charts {
namespace {

constexpr double kRight = 150, kTop = 40, kRowHeight = 20;
constexpr size_t kLabelLetters = 60, kNoteLetters = 22;
constexpr double kCellWidth = 150, kCellHeight = 22;

// The least and the most of all that is drawn.
std::pair<double, double> Range(const std::vector<IntervalRow>& rows, const std::vector<double>& marks) {
  double least = INFINITY, most = -INFINITY;
  const auto take = [&](double value) {
    if (!std::isfinite(value)) return;
    least = std::min(least, value);
    most = std::max(most, value);
  };
  for (double mark : marks) take(mark);
  for (const IntervalRow& row : rows) {
    take(row.value);
    if (!row.interval) continue;
    take(row.interval->first);
    take(row.interval->second);
  }
  if (!(least <= most)) return {0, 1};
  return least < most ? std::pair(least, most) : std::pair(least - 0.5, most + 0.5);
}

std::string HoverText(const IntervalRow& row) {
  if (!row.hover.empty()) return row.hover;
  std::string text = row.label + ": " + TickText(row.value, 1e-3);
  if (row.interval)
    text += " (" + TickText(row.interval->first, 1e-3) + " to " + TickText(row.interval->second, 1e-3) + ")";
  return text;
}

void DrawRow(const IntervalRow& row, double y, const ChartAxis& x, Canvas* canvas) {
  if (!std::isfinite(row.value)) return;
  if (row.interval)
    canvas->Line(x.At(row.interval->first), y, x.At(row.interval->second), y,
                 "series s" + std::to_string(LookOf(row.color).color));
  canvas->Add(Marker(row.color, x.At(row.value), y, 4, "<title>" + EscapeXml(HoverText(row)) + "</title>") + "\n");
}

}  // namespace

std::string Draw(const IntervalChart& chart, Placement placement) {
  double left = 120;  // as much as the longest label needs
  for (const IntervalRow& row : chart.rows) left = std::max(left, TextWidth(Shorten(row.label, kLabelLetters)) + 24);
  const auto [least, most] = Range(chart.rows, chart.marks);
  const ChartAxis x{NiceTicks(least, most, 5), left, kChartWidth - kRight};
  const double bottom = kTop + kRowHeight * static_cast<double>(chart.rows.size());
  Canvas canvas;
  canvas.Text(12, 22, chart.title, "title");
  for (double tick : x.ticks) {
    canvas.Line(x.At(tick), kTop, x.At(tick), bottom, "grid");
    canvas.Text(x.At(tick), bottom + 16, TickText(tick, x.step()), "small", "middle");
  }
  for (double mark : chart.marks) canvas.Line(x.At(mark), kTop, x.At(mark), bottom, "mark");
  for (size_t i = 0; i < chart.rows.size(); ++i) {
    const double y = kTop + kRowHeight * (static_cast<double>(i) + 0.5);
    canvas.Text(left - 10, y + 4, Shorten(chart.rows[i].label, kLabelLetters), "small", "end");
    canvas.Text(kChartWidth - kRight + 10, y + 4, Shorten(chart.rows[i].note, kNoteLetters), "small");
    DrawRow(chart.rows[i], y, x, &canvas);
  }
  canvas.Text((left + kChartWidth - kRight) / 2, bottom + 34, chart.x_label, "label", "middle");
  return canvas.Finish(bottom + 46, chart.title, chart.description, placement == Placement::kStandalone);
}

std::string DrawCell(const IntervalRow& row, const std::vector<double>& marks, const std::string& text) {
  const auto [least, most] = Range({row}, marks);
  const ChartAxis x{{least, most}, 8, kCellWidth - 8};
  Canvas canvas;
  canvas.Line(x.begin, kCellHeight / 2, x.end, kCellHeight / 2, "grid");
  for (double mark : marks) canvas.Line(x.At(mark), 3, x.At(mark), kCellHeight - 3, mark == 0 ? "axis" : "mark");
  DrawRow(row, kCellHeight / 2, x, &canvas);
  return "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 " + Coordinate(kCellWidth) + " " + Coordinate(kCellHeight) +
         "\" width=\"" + Coordinate(kCellWidth) + "\" height=\"" + Coordinate(kCellHeight) + "\"><title>" +
         EscapeXml(text) + "</title>\n" + canvas.body() + "</svg>";
}

std::string Swatch(int color) {
  return "<svg class=\"chart swatch\" viewBox=\"0 0 10 10\" width=\"10\" height=\"10\" aria-hidden=\"true\">" +
         Marker(color, 5, 5, 3.2, "") + "</svg>";
}

}  // namespace sink::charts
