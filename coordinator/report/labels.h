// What a setting is called and which colour it has, the same in every table and figure of a report. Pure; any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "coordinator/report/study.h"

namespace sink::report {

// What tells the point from the others of its experiment: the words of its label that not every point has.
std::string LabelOf(const Experiment& experiment, const Point& point);

// Colours by setting. A setting that stands in several experiments keeps its colour; within an experiment, each setting
// has another one.
class Palette {
 public:
  explicit Palette(const Study& study);
  int ColorOf(const Point& point) const;  // an index into the charts' palette

 private:
  std::map<std::string, int> colors_;  // by the id of a point's first run
};

// A point as figures draw it.
struct Line {
  const Point* point = nullptr;
  std::string label;
  int color = 0;
};
std::vector<Line> LinesOf(const Experiment& experiment, const Palette& palette);
// Outside an experiment: whole labels, colours in order.
std::vector<Line> LinesOf(const std::vector<const Point*>& points);

}  // namespace sink::report
