// New databases into the places of old ones, and the checkpoints that they do not name out of the coordinator's way, as
// one step: a note says all that is to be done before anything moves (store/begun_salvage.h), and until it is done no
// coordinator opens the folder. Nothing is deleted. Stateless; for who has the folder's lock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/job/checkpoint.h"

namespace sink::backup {

struct Replacement {
  std::vector<std::string> databases;    // in the data folder, each with the new one beside it (PartOf)
  std::vector<std::string> checkpoints;  // as CheckpointName: into set-aside/
  int64_t jobs = -1;                     // in the new database of the jobs; -1: it stays as it is
  int64_t forgotten = 0;                 // checkpoints that the old database named and whose files are gone
  int64_t begun_anew = 0;                // jobs that have not ended and of which those were the last
};

struct Replaced {
  std::vector<std::string> set_aside;  // databases whose places others have taken, with what was beside them
  int64_t jobs = -1;                   // this, and the next two, as above
  int64_t forgotten = 0;
  int64_t begun_anew = 0;
  int64_t checkpoints = 0;  // that the new database does not name: now in set-aside/
  bool identity = false;    // the database of who may call is another, too
};

// The names of the complete checkpoints that are not among `rows`.
absl::StatusOr<std::vector<std::string>> ListUnnamed(const std::string& data, const std::vector<Checkpoint>& rows);

// Writes the note. Also after a failure it may be there: from this call on the new databases stay where they are.
absl::Status BeginReplacement(const std::string& data, const Replacement& replacement);

// Does what the note says, whatever of it is done already, and removes it. Run as root, it gives what is root's in the
// folder to the folder's owner.
absl::StatusOr<Replaced> FinishReplacement(const std::string& data);

}  // namespace sink::backup
