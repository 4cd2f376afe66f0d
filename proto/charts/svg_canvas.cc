// See svg_canvas.h.
#include "proto/charts/svg_canvas.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "proto/charts/svg.h"

namespace sink::charts {
namespace {

size_t Letters(const std::string& text) {
  size_t count = 0;
  for (unsigned char byte : text) count += (byte & 0xC0) != 0x80;
  return count;
}

}  // namespace

std::string Coordinate(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  std::string out = text;
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out == "-0" ? "0" : out;
}

double TextWidth(const std::string& text) { return 6.4 * static_cast<double>(Letters(text)); }

std::string Shorten(const std::string& text, size_t letters) {
  if (Letters(text) <= letters) return text;
  size_t end = 0;
  for (size_t count = 0; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && ++count == letters) break;
  }
  return text.substr(0, end) + "…";
}

void Canvas::Text(double x, double y, const std::string& text, const std::string& style, const std::string& anchor) {
  body_ += "<text class=\"" + style + "\" x=\"" + Coordinate(x) + "\" y=\"" + Coordinate(y) + "\"" +
           (anchor == "start" ? "" : " text-anchor=\"" + anchor + "\"") + ">" + EscapeXml(text) + "</text>\n";
}

void Canvas::VerticalText(double x, double y, const std::string& text, const std::string& style) {
  body_ += "<text class=\"" + style + "\" text-anchor=\"middle\" transform=\"translate(" + Coordinate(x) + " " +
           Coordinate(y) + ") rotate(-90)\">" + EscapeXml(text) + "</text>\n";
}

void Canvas::Line(double x1, double y1, double x2, double y2, const std::string& style) {
  body_ += "<line class=\"" + style + "\" x1=\"" + Coordinate(x1) + "\" y1=\"" + Coordinate(y1) + "\" x2=\"" +
           Coordinate(x2) + "\" y2=\"" + Coordinate(y2) + "\"/>\n";
}

void Canvas::Path(const std::string& d, const std::string& style) {
  body_ += "<path class=\"" + style + "\" d=\"" + d + "\"/>\n";
}

std::string Canvas::Finish(double height, const std::string& title, const std::string& description,
                           bool with_style) const {
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\" viewBox=\"0 0 " +
                    Coordinate(kChartWidth) + " " + Coordinate(height) + "\" width=\"" + Coordinate(kChartWidth) +
                    "\" height=\"" + Coordinate(height) + "\">\n<title>" + EscapeXml(title) + "</title>\n<desc>" +
                    EscapeXml(description) + "</desc>\n";
  if (with_style) {
    out += "<style>\n" + ChartStyle() + "</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n";
  }
  return out + body_ + "</svg>\n";
}

Look LookOf(int number) {
  constexpr int kOthers = 7;  // colours but the first
  if (number == 0) return {};
  return {1 + (number - 1) % kOthers, (number - 1) / kOthers};
}

// A circle, a square, a triangle, a diamond; then the same hollow.
std::string Marker(int color, double x, double y, double radius, const std::string& inside) {
  using Corners = std::vector<std::pair<double, double>>;
  static const auto* const kShapes = new std::vector<Corners>{{},  // a circle has none
                                                              {{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}},
                                                              {{0, -1.15}, {1.15, 0.9}, {-1.15, 0.9}},
                                                              {{0, -1.25}, {1.25, 0}, {0, 1.25}, {-1.25, 0}}};
  const Look look = LookOf(color);
  const size_t round = static_cast<size_t>(look.round);
  const bool hollow = round / kShapes->size() % 2 == 1;
  const std::string style = (hollow ? "hollow s" : "dot f") + std::to_string(look.color);
  const Corners& corners = (*kShapes)[round % kShapes->size()];
  if (corners.empty())
    return "<circle class=\"" + style + "\" cx=\"" + Coordinate(x) + "\" cy=\"" + Coordinate(y) + "\" r=\"" +
           Coordinate(radius) + "\">" + inside + "</circle>";
  std::string d;
  for (const auto& [right, down] : corners)
    d += (d.empty() ? "M" : "L") + Coordinate(x + right * radius) + " " + Coordinate(y + down * radius);
  return "<path class=\"" + style + "\" d=\"" + d + "Z\">" + inside + "</path>";
}

std::string EscapeXml(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // XML has no other control characters.
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') out += c;
    }
  }
  return out;
}

std::string ChartStyle() {
  // Okabe and Ito's eight, the yellow darkened for a white page; on a dark page lighter ones.
  return R"css(.chart { --ink: #1f2328; --muted: #59636e; --grid: #d8dee4; --paper: #ffffff;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #cc79a7; --c4: #56b4e9; --c5: #e69f00;
  --c6: #6f6f6f; --c7: #b3a300;
  font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) { .chart { --ink: #e6edf3; --muted: #9198a1; --grid: #30363d; --paper: #0d1117;
  --c0: #4aa8e0; --c1: #f08a48; --c2: #2fc79a; --c3: #e29bc2; --c4: #8fd0f5; --c5: #f2b63c;
  --c6: #a9a9a9; --c7: #e5d84a; } }
@media print { .chart { --ink: #000000; --muted: #444444; --grid: #cccccc; --paper: #ffffff;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #cc79a7; --c4: #56b4e9; --c5: #e69f00;
  --c6: #6f6f6f; --c7: #b3a300; } }
.chart .paper { fill: var(--paper); }
.chart .title { font-size: 15px; font-weight: 600; fill: var(--ink); }
.chart .label { font-size: 12px; fill: var(--ink); }
.chart .small { font-size: 11px; fill: var(--muted); }
.chart .grid { stroke: var(--grid); stroke-width: 1; }
.chart .axis { stroke: var(--muted); stroke-width: 1; }
.chart .series { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.chart .dashed { stroke-dasharray: 6 4; }
.chart .dotted { stroke-dasharray: 1.5 4; }
.chart .dash-dot { stroke-dasharray: 8 3 1.5 3; }
.chart .long-dash { stroke-dasharray: 13 4; }
.chart .thin { stroke-width: 0.9; }
.chart .band { stroke: none; fill-opacity: 0.16; }
.chart .others { fill: none; stroke: var(--grid); stroke-width: 1; }
.chart .mark { stroke: var(--muted); stroke-width: 1; stroke-dasharray: 3 3; }
.chart .dot { stroke: none; } .chart .hollow { fill: var(--paper); stroke-width: 1.8; }
.chart .hover { fill: transparent; stroke: none; } .chart .hover:hover { fill: var(--ink); }
.chart .s0 { stroke: var(--c0); } .chart .f0 { fill: var(--c0); }
.chart .s1 { stroke: var(--c1); } .chart .f1 { fill: var(--c1); }
.chart .s2 { stroke: var(--c2); } .chart .f2 { fill: var(--c2); }
.chart .s3 { stroke: var(--c3); } .chart .f3 { fill: var(--c3); }
.chart .s4 { stroke: var(--c4); } .chart .f4 { fill: var(--c4); }
.chart .s5 { stroke: var(--c5); } .chart .f5 { fill: var(--c5); }
.chart .s6 { stroke: var(--c6); } .chart .f6 { fill: var(--c6); }
.chart .s7 { stroke: var(--c7); } .chart .f7 { fill: var(--c7); }
)css";
}

}  // namespace sink::charts
