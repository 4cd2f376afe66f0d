// What is left to do where a coordinator's log is damaged (store/wal_check.h), or it has lost commits in another way
// (store/lost_commits.h), and there is no backup: go on with what is left. Nothing is deleted. Stateless; has the
// folder's lock while it works. Until one that was interrupted is made again, to its end, no coordinator opens the
// folder (store/begun_salvage.h).
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/backup/replacement.h"

namespace sink::backup {

// In the folder `data`, puts into the place of each such database a copy of what is left of it: of the file with what
// stands in the log before the damage, or of the file alone, whichever counts more commits. The jobs' becomes that of a
// restored coordinator (store/restored.h): no fence that was ever given is given again. It names no checkpoint whose
// files are not there, with their sizes, as those that were dropped behind the damage; where there is no checkpoint at
// all, or the folder is not the one that the database knows (store/checkpoint_folder.h), their disk may be away, and it
// names them all. Complete checkpoints that it does not name would be removed by the
// next start; they move into checkpoints/set-aside/, with the same names (adopt.h). Where a restore was interrupted it
// ends that instead. FAILED_PRECONDITION: no commits were lost, or another process has `data`; DATA_LOSS: neither is a
// whole database, so that only a backup helps; nothing has changed. Others from the file system: make it again once
// that is put right.
absl::StatusOr<Replaced> Salvage(const std::string& data, int64_t unix_seconds);

}  // namespace sink::backup
