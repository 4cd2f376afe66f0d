// The report of a study: the paper's table beside ours, each of its takeaways judged, and the figures. Pure; any
// thread.
#pragma once

#include <string>
#include <vector>

#include "coordinator/report/document.h"
#include "coordinator/report/measures.h"
#include "coordinator/report/takeaways.h"

namespace sink::report {

// One row of a results table: a point of an experiment.
struct Row {
  struct Pair {
    std::string key;       // of the experiment's `paper`: "sink_rate_percent"
    Summary ours;          // over the replicas that succeeded; else over what the others measured so far
    Json paper = nullptr;  // number or null
  };
  std::string label;
  std::vector<Pair> measures;
  Summary strongest_alpha;
  int runs = 0;
  int succeeded = 0;
  std::string trouble;  // "" when every run succeeded; else which did not, and why
};

struct ExperimentResult {
  const Experiment* experiment = nullptr;
  std::vector<Row> rows;
  std::vector<Verdicts::Item> takeaways;
};

std::vector<ExperimentResult> Evaluate(const Study& study);

// Of what, when, by what and on what it was made.
Facts HeaderFacts(const Study& study);
// The whole report; headings, tables and figures in file order.
Document MakeReport(const Study& study, const std::vector<ExperimentResult>& results);
// The same facts for programs: {"sweep", ..., "experiments": [{"name", "rows": [...], "takeaways": [...]}]}.
Json ReportJson(const Study& study, const std::vector<ExperimentResult>& results);

// "2026-01-31 12:00 UTC"; "never" for 0.
std::string TimeText(int64_t unix_ms);

}  // namespace sink::report
