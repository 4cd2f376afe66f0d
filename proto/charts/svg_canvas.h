// What both kinds of chart draw with. Used inside this folder only.
#pragma once

#include <string>
#include <vector>

namespace sink::charts {

inline constexpr double kChartWidth = 760;

// A linear axis between two pixels, with its ticks.
struct ChartAxis {
  std::vector<double> ticks;
  double begin = 0, end = 0;  // in pixels

  double At(double value) const {
    return begin + (value - ticks.front()) / (ticks.back() - ticks.front()) * (end - begin);
  }
  double step() const { return ticks[1] - ticks[0]; }
};

// Collects elements; Finish wraps them into one <svg>.
class Canvas {
 public:
  // `anchor`: start, middle or end; `style`: a class of ChartStyle().
  void Text(double x, double y, const std::string& text, const std::string& style, const std::string& anchor = "start");
  void VerticalText(double x, double y, const std::string& text, const std::string& style);  // reads upwards, centred
  void Line(double x1, double y1, double x2, double y2, const std::string& style);
  void Path(const std::string& d, const std::string& style);
  void Add(const std::string& element) { body_ += element; }

  const std::string& body() const { return body_; }
  std::string Finish(double height, const std::string& title, const std::string& description, bool with_style) const;

 private:
  std::string body_;
};

// The marker of a look, around a point; `inside` is what the element holds, a <title> say.
std::string Marker(int color, double x, double y, double radius, const std::string& inside);

std::string Coordinate(double value);                          // two decimals, no trailing zeros
double TextWidth(const std::string& text);                     // about, in pixels of the small type
std::string Shorten(const std::string& text, size_t letters);  // with an ellipsis; counts code points

}  // namespace sink::charts
