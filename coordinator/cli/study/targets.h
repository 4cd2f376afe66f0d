// What the words of a command line name: sweeps by their names, jobs by their ids. Main thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/cli/base/command.h"

namespace sink::cli {

struct Targets {
  std::vector<std::string> sweeps;
  std::vector<std::string> jobs;  // ids or their first digits, as they were given
};

// A word that is a sweep's name means the sweep; every other is a job's id. Errors: NOT_FOUND for a word that can be
// neither; those of the call.
absl::StatusOr<Targets> ReadTargets(Session& session, const std::vector<std::string>& words);

// For a command that takes one job. Errors: NOT_FOUND for a word that cannot be an id; where it is a sweep's name, with
// how its jobs are listed. Whether a job has the id is left to the call that follows.
absl::Status ExpectJob(Session& session, const std::string& word);

}  // namespace sink::cli
