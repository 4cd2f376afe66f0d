// Copies of a coordinator's data folder, made while it runs, and data folders from such copies. A copy holds sink.db,
// of one moment, the files of every checkpoint that it names, each compared with its hash, and tls/, by which workers
// and people know the coordinator and it knows them. A further copy into the same folder adds what is new and then
// removes what is no longer named; one that is interrupted leaves the one before as it was. Stateless. Who writes to a
// folder has its lock (store/folder_lock.h) for as long. The database of a copy, and that which is made of one, knows
// the folder of checkpoints beside it (store/checkpoint_folder.h), which is given a number where it has none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sink::backup {

struct Report {
  int64_t jobs = 0;
  int64_t checkpoints = 0;  // that the copy names
  uint64_t bytes = 0;       // copied now
  // Whose files are not there or not what they were, or went before they were copied: the copy names them no more, and
  // their jobs go on from others.
  int64_t lost_checkpoints = 0;
  std::vector<std::string> begun_anew;  // ids of those jobs that have not ended and of which the copy names no other
  std::string set_aside;              // where the database is now whose place the copy has taken; empty: there was none
  int64_t checkpoints_set_aside = 0;  // that were there, complete, and that the copy does not name (adopt.h)
};

// Of the folder `data` into `to`, which is created. The coordinator may run or not. FAILED_PRECONDITION: there is no
// coordinator's database, a salvage of it or a restore was interrupted, its checkpoints are away
// (store/checkpoint_folder.h), `to` has the copy of one that has been started more often, or another process has `to`,
// be it a coordinator whose folder it is; DATA_LOSS: the database is damaged, and nothing in `to` has changed; others
// from the file system. Where checkpoints' files are gone, as when newer ones push them out faster than they are
// copied, `to` keeps those that it has of before, and goes on naming the newest of each such job of which it has got no
// later one, so that none goes back behind what `to` has had of it. `read_again`: also the checkpoints that `to` has
// already, and those that are damaged there are copied anew.
absl::StatusOr<Report> Make(const std::string& data, const std::string& to, bool read_again = false);

struct RestoreOptions {
  bool replace = false;  // a database in `data`: it is kept beside, as NameAside says
  int64_t unix_seconds = 0;
};

// Writes nothing to `from`, which may lie on a disk that is mounted read-only, and makes `data` what it is a copy of
// (but for a tls/ that is there, which knows who was revoked since), with an epoch above every one that a coordinator
// has had since (store/restored.h): what workers do under later leases is refused, and their jobs begin again from the
// copy's checkpoints. Newer ones that lie in `data` move into checkpoints/set-aside/. One that is interrupted when
// things have begun to move is ended by a salvage (replacement.h). FAILED_PRECONDITION: a coordinator runs there, or
// has a database there and `replace` is not set, or a salvage of that, or a restore, was interrupted.
absl::StatusOr<Report> Restore(const std::string& from, const std::string& data, const RestoreOptions& options);

}  // namespace sink::backup
