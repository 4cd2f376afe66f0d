// See samples.h.
#include "coordinator/report/samples.h"

#include <algorithm>
#include <map>
#include <set>

#include "coordinator/report/measures.h"
#include "proto/base/counted.h"
#include "proto/pipe/failure_class.h"

namespace sink::report {

bool Diverged(const Run& run) {
  if (ParseName<JobState>(run.state) == JobState::kFailed)
    return run.reason.substr(0, run.reason.find(':')) == NameOf(pipe::FailureClass::kNan);
  const auto is_not_finite = [&run](Measure measure) {
    return !MetricName(run, measure, "1").empty() && !Value(run, measure);
  };
  return run.succeeded() && (is_not_finite(Measure::kTrainLoss) || is_not_finite(Measure::kValidationLoss) ||
                             is_not_finite(Measure::kAlphaMax) || is_not_finite(Measure::kSinkRate));
}

Flaws FlawsOf(const Study& study, const std::vector<const Point*>& points) {
  Flaws flaws;
  std::set<std::string> seen;
  std::map<std::string, std::set<std::string>> contents;  // of data sets
  for (const Point* point : points) {
    const std::vector<std::string>& ids = point->runs;
    const auto count = [&](const auto& is) {
      return static_cast<size_t>(
          std::count_if(ids.begin(), ids.end(), [&](const std::string& id) { return is(study.run(id)); }));
    };
    const size_t diverged = count(Diverged);
    const bool has_result = count([](const Run& run) { return run.succeeded(); }) > 0;
    flaws.mostly_diverged |= has_result && 2 * diverged > ids.size();
    if (!has_result && diverged > 0 && diverged == ids.size() && !seen.contains(ids.front()))
      flaws.all_diverged += (flaws.all_diverged.empty() ? "" : ", ") + ShortLabel(point->label);
    for (const std::string& id : ids) {
      if (!seen.insert(id).second) continue;
      const Run& run = study.run(id);
      flaws.diverged += Diverged(run);
      if (!has_result) continue;
      flaws.cancelled += ParseName<JobState>(run.state) == JobState::kCancelled;
      flaws.awaited += !run.final();
      if (run.succeeded() && !run.data_content.empty()) contents[run.data_set].insert(run.data_content);
    }
  }
  flaws.mixed_data =
      std::any_of(contents.begin(), contents.end(), [](const auto& set) { return set.second.size() > 1; });
  return flaws;
}

std::string WhyNoSample(const Flaws& flaws) {
  if (flaws.cancelled > 0) return Counted(flaws.cancelled, "run was", "runs were") + " cancelled or stopped early";
  if (flaws.mixed_data) return "not all on the same data";
  return flaws.mostly_diverged ? "more than half of a setting's seeds diverged" : "";
}

std::string SeedsWithoutValue(const Flaws& flaws) {
  std::string text = flaws.diverged > 0 ? Counted(flaws.diverged, "seed") + " diverged" : "";
  if (!flaws.all_diverged.empty()) text += " (all of " + flaws.all_diverged + ")";
  if (flaws.awaited > 0)
    text += (text.empty() ? "" : ", ") + Counted(flaws.awaited, "seed is", "seeds are") + " still to come";
  return text;
}

}  // namespace sink::report
