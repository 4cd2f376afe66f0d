// See topics.h: which name is which topic.
#include "coordinator/web/topics.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "coordinator/job/latest_values.h"
#include "coordinator/service/validate.h"

namespace sink::web {
namespace {

constexpr size_t kJobsCompared = 32;

// "a/b/c" -> "a", "b/c".
std::pair<std::string, std::string> Split(absl::string_view text) {
  return absl::StrSplit(text, absl::MaxSplits('/', 1));
}

}  // namespace

std::unique_ptr<Topic> MakeTopic(const TopicSources& sources, const std::string& name) {
  if (name == "overview") return MakeOverviewTopic(sources);
  if (name == "workers") return MakeWorkersTopic(sources);
  const auto [kind, rest] = Split(name);
  if (kind == "sweep") return IsName(rest) ? MakeSweepTopic(sources, rest) : nullptr;
  if (kind == "verdicts") return IsName(rest) ? MakeVerdictsTopic(sources, rest) : nullptr;
  if (kind == "curves" || kind == "compare") {
    const auto [whose, metric] = Split(rest);
    if (!IsMetricName(metric)) return nullptr;
    if (kind == "curves") return IsName(whose) ? MakeCurveTopic(sources, whose, {}, metric) : nullptr;
    std::vector<std::string> ids = absl::StrSplit(whose, ',');
    const bool valid = ids.size() <= kJobsCompared && std::all_of(ids.begin(), ids.end(), IsId);
    return valid ? MakeCurveTopic(sources, "", std::move(ids), metric) : nullptr;
  }
  if (!IsId(rest)) return nullptr;
  if (kind == "job") return MakeJobTopic(sources, rest);
  if (kind == "points") return MakeCurveTopic(sources, "", {rest}, "");
  if (kind == "heat") return MakeHeatTopic(sources, rest);
  if (kind == "log") return MakeLogTopic(sources, rest);
  return nullptr;
}

}  // namespace sink::web
