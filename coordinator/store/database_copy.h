// Copies of a coordinator's databases, and what is done to that of the jobs before a coordinator opens it. Owned by one
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/job/job.h"
#include "coordinator/store/sqlite_db.h"

namespace sink::store {

// What a database is copied from. kInUse: others may write to it meanwhile. kAtRest: nobody does, and nothing is
// written beside it, so that it may lie where nobody can write. kLostCommits: nobody has it, and the copy is of what
// is left of it (lost_commits.h).
enum class Source { kInUse, kAtRest, kLostCommits };

// Copies the database `from`, as it is at one moment, to the file `to`, which it replaces, and which nobody else may
// read. FAILED_PRECONDITION: there is none; DATA_LOSS: it is damaged, or its log is, or it has lost commits
// (wal_check.h, lost_commits.h).
absl::Status CopyDatabase(const std::string& from, const std::string& to, Source source);

class DatabaseCopy {
 public:
  // The same for a database of jobs. FAILED_PRECONDITION for one that is newer than this program, too.
  static absl::StatusOr<DatabaseCopy> Take(const std::string& from, const std::string& to, Source source);

  absl::StatusOr<std::vector<Checkpoint>> ListCheckpoints();  // of every job
  absl::Status Forget(const std::vector<Checkpoint>& checkpoints);
  // Names these as well, which another copy of the same coordinator's database names. NOT_FOUND: of no job here.
  absl::Status Add(const std::vector<Checkpoint>& checkpoints);
  absl::StatusOr<int64_t> CountJobs();
  // Of jobs that have not ended, the ids of those of which these were the last, in order.
  absl::StatusOr<std::vector<std::string>> ListBegunAnew(const std::vector<Checkpoint>& forgotten);
  // By what the folder of its checkpoints is known: see checkpoint_folder.h.
  absl::StatusOr<int64_t> FolderId();
  // Whether `folder` is another than the one that it knows: what it names may lie on a disk that is not mounted.
  absl::StatusOr<bool> IsAway(const std::string& folder);
  absl::Status SetFolderId(int64_t id);
  // For a coordinator that goes on from the copy: see restored.h.
  absl::Status PrepareRestored(uint64_t replaced, int64_t unix_seconds);
  // The last call. Until it is OK the file alone is not the copy: RESOURCE_EXHAUSTED when the disk is full.
  absl::Status Close();

 private:
  explicit DatabaseCopy(std::unique_ptr<Database> db) : db_(std::move(db)) {}

  std::unique_ptr<Database> db_;
};

// The epoch in a database; 0 when it cannot be read.
uint64_t EpochOf(const std::string& path);

// With what SQLite keeps beside them. Of files that nobody has open.
void RemoveDatabase(const std::string& path);
// What SQLite keeps beside a database: it lays a log over whatever file has the name, also over one that came later.
void RemoveLog(const std::string& path);

}  // namespace sink::store
