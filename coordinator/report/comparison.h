// The page that compares every takeaway of the paper with our runs, over several sweeps together: which hold at this
// scale, which do not, which these runs cannot decide, and which nobody put to the test; when the sinks came, and what
// removes them. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "coordinator/report/document.h"
#include "coordinator/report/report.h"
#include "coordinator/report/study.h"

namespace sink::report {

// One sweep as it was evaluated.
struct EvaluatedStudy {
  const Study* study = nullptr;
  const std::vector<ExperimentResult>* results = nullptr;
  std::string markdown, html;  // where its own report lies, relative to the page; empty: nowhere
};

// `origin`: of all of them. At least one study.
Document MakeComparison(const std::vector<EvaluatedStudy>& studies, const Origin& origin = {});

}  // namespace sink::report
