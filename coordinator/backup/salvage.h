// What is left to do where a coordinator's log is damaged (store/wal_check.h) and there is no backup: go on with what
// stands before the damage. Nothing is deleted. Stateless; has the folder's lock while it works. Until one that was
// interrupted is made again, to its end, no coordinator opens the folder (store/begun_salvage.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sink::backup {

struct Salvaged {
  std::vector<std::string> set_aside;  // databases, with their damaged logs, whose places copies have taken
  int64_t jobs = 0;                    // in the database of the jobs; -1: its log was whole
  int64_t checkpoints = 0;             // that the copy does not name: now in checkpoints/set-aside/
  bool identity = false;               // the log of who may call was damaged, too: revocations may be lost
};

// In the folder `data`, puts into the place of each database whose log is damaged a copy of what stands before the
// damage. The jobs' becomes that of a restored coordinator (store/restored.h): no fence that was ever given is given
// again. Complete checkpoints that it does not name would be removed by the next start; they move into
// checkpoints/set-aside/, with the same names. FAILED_PRECONDITION: no log is damaged, or another process has `data`;
// DATA_LOSS: what stands before the damage is no whole database, or the database is newer than that, so that only a
// backup helps; nothing has changed.
// Others from the file system: make it again once that is put right.
absl::StatusOr<Salvaged> Salvage(const std::string& data, int64_t unix_seconds);

}  // namespace sink::backup
