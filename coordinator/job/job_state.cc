// Names of states, and the transition table as SQL.
#include "coordinator/job/job_state.h"

#include "absl/strings/str_cat.h"

namespace sink {
namespace {

constexpr std::array<std::string_view, 10> kNames = {"",     "QUEUED",     "LEASED",    "RUNNING", "DISCONNECTED",
                                                     "LOST", "FINALIZING", "SUCCEEDED", "FAILED",  "CANCELLED"};

}  // namespace

std::string_view JobStateName(JobState state) {
  const size_t index = static_cast<size_t>(state);
  return index < kNames.size() ? kNames[index] : kNames[0];
}

std::optional<JobState> ParseJobState(std::string_view name) {
  for (JobState state : kAllJobStates) {
    if (JobStateName(state) == name) return state;
  }
  return std::nullopt;
}

std::string TransitionCondition() {
  // As one list of old * 100 + new * 10 + (1 when the generation grows).
  std::string edges;
  for (const Transition& edge : kTransitions) {
    absl::StrAppend(&edges, edges.empty() ? "" : ", ",
                    static_cast<int>(edge.from) * 100 + static_cast<int>(edge.to) * 10 + (edge.new_generation ? 1 : 0));
  }
  return absl::StrCat(
      "(OLD.state = NEW.state AND OLD.generation = NEW.generation) OR "
      "(NEW.generation - OLD.generation IN (0, 1) AND "
      "OLD.state * 100 + NEW.state * 10 + NEW.generation - OLD.generation IN (",
      edges, "))");
}

}  // namespace sink
