// What a setting is called and which look it has, the same in every table and figure of a report. Pure; any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "coordinator/report/study.h"

namespace sink::report {

// What tells the point from the others of its experiment: the words of its label that not every point has.
std::string LabelOf(const Experiment& experiment, const Point& point);

// Looks by setting (charts::LookOf). The base that the others are variants of (removal.h) has the first one in every
// report; each other setting has one of its own, the same in every experiment that it stands in. The next ones are
// those of the variants, which stand in one table: beyond 57 looks come round again.
class Palette {
 public:
  explicit Palette(const Study& study);
  int ColorOf(const Point& point) const;  // the number of its look; -1: it has no runs, and none

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
