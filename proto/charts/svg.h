// A small library of charts as SVG: lines with bands over replicas, intervals, and heat maps. A chart is a value; a
// function draws it. Colours are safe for colour-blind readers (Okabe and Ito 2008; cividis for heat maps) and follow a
// dark or light page by CSS, without a script. Each drawing has a <title> and a <desc> for readers who hear it. Pure;
// any thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sink::charts {

struct LineSeries {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;    // a value that is not finite breaks the line
  std::vector<double> low;  // of a band around the line; empty for none
  std::vector<double> high;
  int color = 0;  // the number of its look; series of one setting share it
  bool dashed = false;
};

struct LineChart {
  std::string title;
  std::string description;  // one sentence: what is drawn
  std::string x_label;
  std::string y_label;     // with the unit
  bool from_zero = false;  // the y axis includes 0
  std::vector<LineSeries> series;
  bool panels =
      false;  // a small panel for each colour, over all other lines in grey, instead of one plot with a legend
};

struct IntervalRow {
  std::string label;
  double value = 0;  // not finite: the row has its note alone
  std::optional<std::pair<double, double>> interval;
  int color = 0;
  std::string note;        // right of the plot
  std::string hover = {};  // what the dot's tooltip says; empty: the label, the value and its interval
};

// Values with intervals, one a row, over one axis.
struct IntervalChart {
  std::string title;
  std::string description;
  std::string x_label;
  std::vector<double> marks;  // values with a line over all rows: 0, a threshold
  std::vector<IntervalRow> rows;
};

struct HeatMapPanel {
  std::string title;
  int rows = 0;  // drawn from the bottom up, counted from 0
  int columns = 0;
  std::vector<double> values;  // row-major
};

struct HeatMapChart {
  std::string title;
  std::string description;
  std::string row_label;
  std::string column_label;
  std::string value_label;
  std::vector<HeatMapPanel> panels;
  double least = 0;  // of the colour scale
  double most = 1;
};

// Inline drawings go into a page that has ChartStyle() once; standalone files carry it.
enum class Placement { kStandalone, kInline };

// In a page, lines say their values where the mouse is.
std::string Draw(const LineChart& chart, Placement placement);
std::string Draw(const IntervalChart& chart, Placement placement);
// One interval for a table's cell, 150 x 22 pixels, on an axis from the least to the most of it and the marks. `text`
// is what it says to readers who hear it.
std::string DrawCell(const IntervalRow& row, const std::vector<double>& marks, const std::string& text);
std::string Draw(const HeatMapChart& chart, Placement placement);

// How the setting of a number looks in every chart and table. Eight colours, of which the first is that of number 0
// alone, as the one that others are held against; the other seven come round again, each time with another marker and
// dash.
struct Look {
  int color = 0;
  int round = 0;
};
Look LookOf(int number);

// A small marker in a setting's look, for the text of a page that has ChartStyle().
std::string Swatch(int color);

// The CSS of every kind of chart.
std::string ChartStyle();

// Up to `count` or so round numbers (1, 2, 2.5 or 5 times a power of ten) that cover [least, most], ascending.
std::vector<double> NiceTicks(double least, double most, int count);
// "20k" for 20000, "0.0004", "1e-6": no more digits than steps of `step` need.
std::string TickText(double value, double step);
// For text and attributes of XML.
std::string EscapeXml(const std::string& text);

}  // namespace sink::charts
