// Which jobs of a list are shown, and in what order: the options --state, --sort and --reverse of status and jobs. Pure
// functions over the documents of documents.h; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/cli/base/command.h"
#include "coordinator/cli/print/printer.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

struct RowChoice {
  std::vector<std::string> states;  // as they were written; empty: every state
  std::string experiment;           // empty: every one
  std::string sort;                 // a column's title in lower case; empty: as they come
  bool reverse = false;

  bool any() const { return !states.empty() || !experiment.empty() || !sort.empty() || reverse; }
};

// The options, without --experiment.
void AddRowChoice(args::Command command, RowChoice* choice);

// Errors: INVALID_ARGUMENT for a word that is no state, with those that are.
absl::StatusOr<std::vector<v1::JobState>> StatesOf(const RowChoice& choice);

// Leaves out of the jobs what was not asked for and orders the rest: least first, what has no value last either way.
// Errors: as StatesOf; NOT_FOUND when jobs are there, and none is of the experiment.
absl::Status ChooseRows(const RowChoice& choice, Json* jobs);

}  // namespace sink::cli
