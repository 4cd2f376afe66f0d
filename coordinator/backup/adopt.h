// What was set aside back into its place: after a salvage, or a restore over a database, checkpoints that are newer
// than the database lie in checkpoints/set-aside/, and their jobs would do once more what those hold. Stateless; has
// the folder's lock while it works, so no coordinator runs. It is for before the first start: a worker that has been
// given a job since goes on from its own step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace sink::backup {

struct Adopted {
  std::string job_id;
  int64_t step = 0;            // from which it goes on
  int64_t measured_until = 0;  // the last step that the database knows of
};

struct Adoption {
  std::vector<Adopted> jobs;
  std::vector<std::string> damaged;  // what is wrong with which: those stay set aside
};

// For each of `jobs`, ids or how they begin, or else for every job that has any: takes, of the checkpoints that were
// set aside and are of a later step than all that the database names, the one of the last step that is whole, every
// file compared with its manifest. The database names it, the job's log says so, and then it moves into its place;
// where it was interrupted between the two, it is run again, and that is all that is missing. Jobs that have ended keep
// what they have. An epoch that is below the one of which a checkpoint is becomes that one (a start adds one to it).
// NOT_FOUND, INVALID_ARGUMENT: not one of the database's jobs, or several; FAILED_PRECONDITION: one that is named has
// ended, or another process has `data`, or a salvage or a restore was interrupted; in all three nothing has changed.
// Others from the file system: `adoption` has what is done. Run as root, it gives what is root's in the folder to the
// folder's owner.
absl::Status Adopt(const std::string& data, const std::vector<std::string>& jobs, int64_t unix_seconds,
                   Adoption* adoption);

}  // namespace sink::backup
