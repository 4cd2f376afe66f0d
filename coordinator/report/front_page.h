// What a reader takes in at a glance: the takeaways of a sweep, with verdicts, effects and the paper's own numbers; and
// what to know before comparing. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "coordinator/report/document.h"
#include "coordinator/report/report.h"
#include "coordinator/report/study.h"

namespace sink::report {

void AddFrontPage(const Study& study, const std::vector<ExperimentResult>& results, Document* document);

// How the runs were trained, beside how the paper trained its own.
void AddRecipes(const Study& study, Document* document);

// "Hold here: 12. Do not hold: 7. Not enough data: 9."
std::string CountsText(const std::vector<Verdicts::Item>& items);

}  // namespace sink::report
