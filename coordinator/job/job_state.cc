// The transition table as SQL.
#include "coordinator/job/job_state.h"

#include "absl/strings/str_cat.h"

namespace sink {

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
