// The connection that writes: bodies of many callers in one transaction, made durable together. A body that fails is
// undone alone: each has a savepoint, but for the first, whose failure begins the transaction anew. Within a savepoint
// every statement costs time in proportion to the pages that the savepoint has changed so far (SQLite keeps copies of
// them in a list of 1 KiB pieces and walks it at a statement's end), so a body of many statements comes first or alone.
// SqliteStore gives this a thread and a queue; the simulator (tests/simulator) drives it on simulated disks.
// One thread at a time.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "coordinator/store/job_store.h"
#include "coordinator/store/series_names.h"
#include "coordinator/store/sqlite_db.h"

namespace sink::store {

// What one caller wants written, and what came of it.
struct PendingWrite {
  const std::function<absl::Status(Transaction&)>* body = nullptr;
  absl::Status status;
  bool large = false;  // of thousands of statements: asks to be the first of its group
};

class GroupCommit {
 public:
  // `writer` has the newest schema, and outlives this object.
  explicit GroupCommit(Database* writer) : writer_(writer) {}

  // Runs the bodies that `next` hands out until it returns null, and commits them. Afterwards each one's status is what
  // its caller is to be told: OK when it is durable. `next` is asked at least once.
  void Commit(const std::function<PendingWrite*()>& next);

 private:
  absl::Status RunFirst(const PendingWrite& write);
  absl::Status RunInSavepoint(const PendingWrite& write);
  absl::Status RunBody(const PendingWrite& write);

  Database* const writer_;
  SeriesNames names_;
  absl::Status failure_;  // DATA_LOSS once the disk has failed
};

}  // namespace sink::store
