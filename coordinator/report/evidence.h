// What a claim may be judged by: the settings of a study, and the numbers of each, one a seed. The numbers are ours, or
// the published ones beside them, so that one judge reads both. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/report/measures.h"
#include "coordinator/report/statistics.h"
#include "coordinator/report/study.h"

namespace sink::report {

enum class Source { kOurs, kPaper };

// Settings that a point has, by dotted key: {{"model.variant.similarity", "sigmoid"}}. Empty: every point.
using Where = std::vector<std::pair<std::string, std::string>>;
bool Matches(const Run& run, const Where& where);

// A point that has numbers; its settings are those of one of its runs.
struct Case {
  const Experiment* experiment = nullptr;
  size_t index = 0;  // of the point
  const Run* run = nullptr;

  const Point& point() const { return experiment->points[index]; }
};

class Evidence {
 public:
  Evidence(const Study& study, Source source) : study_(study), source_(source) {}

  // In file order. Ours: points of which a run succeeded. The paper's: points with a published number.
  std::vector<Case> Cases(const Experiment& experiment, const Where& where) const;
  // The same of the whole sweep; those of `first` come before the others.
  std::vector<Case> CasesOfSweep(const Experiment& first, const Where& where) const;

  // The newest value at `step` or before of every run that succeeded, in the order of its seeds; runs whose newest
  // value is not finite are left out. Of the paper: its one number for a sink rate, at the end of training.
  Seeds Values(const Case& c, Measure measure, const std::string& position, int64_t step = kEnd) const;
  // The same, each with the id of its run; "" of the paper.
  std::vector<std::pair<std::string, double>> ByRun(const Case& c, Measure measure, const std::string& position,
                                                    int64_t step = kEnd) const;
  // Every position of which there are values, "bias" among them.
  std::set<std::string> Positions(const Case& c) const;

  Source source() const { return source_; }
  const Study& study() const { return study_; }

 private:
  std::optional<double> Published(const Case& c, const std::string& position) const;

  const Study& study_;
  const Source source_;
};

// The cases among which `key` has the most values while nothing else differs but `also` (and seeds), in order; with
// `within`, those of its smallest value that has two values of `key`. Empty when no two differ in `key` alone.
std::vector<Case> Series(const std::vector<Case>& cases, const std::string& key, const std::string& within,
                         const std::vector<std::string>& also);

// A setting as a number that can be ordered; no window at all is the widest.
double NumberOf(const Run& run, const std::string& key);

// The position whose sink the paper's number is of: where a token is fixed, there.
std::string PositionOf(const Run& run);

}  // namespace sink::report
