#include "coordinator/cli/study/row_choice.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/cli/views/documents.h"
#include "sweeps/diagnostics.h"

namespace sink::cli {
namespace {

// What a table calls a column -> the field of a job's document.
const std::map<std::string, std::string>& SortKeys() {
  static const auto* const keys = new std::map<std::string, std::string>{
      {"setting", "label"},       {"state", "state"},           {"step", "step"},
      {"loss", "train_loss"},     {"valid", "validation_loss"}, {"sink", "sink_rate_percent"},
      {"alpha1", "alpha_mean_1"}, {"alpha_max", "alpha_max_1"}, {"norm", "hidden_norm_ratio"},
      {"eta", "eta_seconds"},     {"started", "started_ms"},    {"finished", "finished_ms"}};
  return *keys;
}

std::vector<std::string> SortNames() {
  std::vector<std::string> names;
  for (const auto& [name, field] : SortKeys()) names.push_back(name);
  return names;
}

}  // namespace

void AddRowChoice(args::Command command, RowChoice* choice) {
  std::string names;
  for (const std::string& name : SortNames()) absl::StrAppend(&names, names.empty() ? "" : "|", name);
  command.AddOption("--state", choice->states, "Only jobs in this state, e.g. running; may be repeated")
      .ValueText("STATE")
      .OneValueEach();
  command.AddOption("--sort", choice->sort, "Order them by a column, the least first")
      .ValueText(names)
      .OneOf(SortNames());
  command.AddFlag("--reverse", choice->reverse, "The other way round");
}

absl::StatusOr<std::vector<v1::JobState>> StatesOf(const RowChoice& choice) {
  std::vector<v1::JobState> out;
  for (const std::string& word : choice.states) {
    std::string name = word;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
    v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
    if (!v1::JobState_Parse(name, &state) || state == v1::JOB_STATE_UNSPECIFIED)
      return absl::InvalidArgumentError(
          absl::StrCat("there is no job state ", word,
                       "; it is one of queued, leased, running, disconnected, lost, finalizing, succeeded, failed, "
                       "cancelled"));
    out.push_back(state);
  }
  return out;
}

absl::Status ChooseRows(const RowChoice& choice, Json* jobs) {
  const auto states = StatesOf(choice);
  if (!states.ok()) return states.status();
  std::set<std::string> names;
  for (const v1::JobState state : *states) names.insert(StateName(state));
  std::set<std::string> experiments;
  std::vector<Json> chosen;
  for (Json& job : *jobs) {
    const std::string experiment = job.value("experiment", std::string());
    experiments.insert(experiment);
    if (!choice.experiment.empty() && experiment != choice.experiment) continue;
    if (!names.empty() && !names.contains(job["state"].get<std::string>())) continue;
    chosen.push_back(std::move(job));
  }
  if (!choice.experiment.empty() && !experiments.empty() && !experiments.contains(choice.experiment))
    return absl::NotFoundError(
        absl::StrCat("there is no experiment ", choice.experiment,
                     sweeps::Suggestion(choice.experiment, {experiments.begin(), experiments.end()})));
  if (!choice.sort.empty()) {
    const std::string& field = SortKeys().at(choice.sort);
    std::stable_sort(chosen.begin(), chosen.end(), [&](const Json& a, const Json& b) {
      const bool none_a = a[field].is_null() || a[field] == "", none_b = b[field].is_null() || b[field] == "";
      if (none_a || none_b) return !none_a && none_b;
      return choice.reverse ? b[field] < a[field] : a[field] < b[field];
    });
  } else if (choice.reverse) {
    std::reverse(chosen.begin(), chosen.end());
  }
  *jobs = std::move(chosen);
  return absl::OkStatus();
}

}  // namespace sink::cli
