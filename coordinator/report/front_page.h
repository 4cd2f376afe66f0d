// What a reader takes in at a glance: the takeaways of one sweep, or of several together, with verdicts, effects and
// the paper's own numbers; and what to know before comparing. Pure; any thread.
#pragma once

#include <vector>

#include "coordinator/report/document.h"
#include "coordinator/report/report.h"
#include "coordinator/report/study.h"

namespace sink::report {

void AddFrontPage(const Study& study, const std::vector<ExperimentResult>& results, Document* document);

// One sweep as it was evaluated.
struct EvaluatedStudy {
  const Study* study = nullptr;
  const std::vector<ExperimentResult>* results = nullptr;
};
// A page of every takeaway of these sweeps: which hold in our runs, which do not, and which they cannot decide.
Document MakeComparison(const std::vector<EvaluatedStudy>& studies);

}  // namespace sink::report
