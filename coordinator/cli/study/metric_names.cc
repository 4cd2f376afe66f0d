#include "coordinator/cli/study/metric_names.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sweeps/diagnostics.h"

namespace sink::cli {

std::vector<std::string> MetricNames(const v1::GetSweepResponse& status) {
  std::set<std::string> names;
  for (const v1::Job& job : status.jobs())
    for (const auto& [name, value] : job.progress().latest()) names.insert(name);
  return {names.begin(), names.end()};
}

absl::Status ExpectMetric(const v1::GetSweepResponse& status, const std::string& metric) {
  const std::vector<std::string> names = MetricNames(status);
  if (names.empty() || std::binary_search(names.begin(), names.end(), metric)) return absl::OkStatus();
  std::string hint = sweeps::Suggestion(metric, names);
  if (!absl::StrContains(hint, "did you mean")) hint = "";  // they are too many for a line
  return absl::NotFoundError(absl::StrCat("no job of ", status.sweep().name(), " has measured ", metric, hint,
                                          "; all names: sinkctl metrics ID"));
}

}  // namespace sink::cli
