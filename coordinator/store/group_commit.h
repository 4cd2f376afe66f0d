// The connection that writes: bodies of many callers in one transaction, each in a savepoint of its own, made durable
// together. SqliteStore gives it a thread and a queue; the simulator (tests/simulator) drives it on simulated disks.
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
};

class GroupCommit {
 public:
  // `writer` has the newest schema, and outlives this object.
  explicit GroupCommit(Database* writer) : writer_(writer) {}

  // Runs the bodies that `next` hands out until it returns null, and commits them. Afterwards each one's status is what
  // its caller is to be told: OK when it is durable. `next` is asked at least once.
  void Commit(const std::function<PendingWrite*()>& next);

 private:
  absl::Status RunBody(const PendingWrite& write);

  Database* const writer_;
  SeriesNames names_;
  absl::Status failure_;  // DATA_LOSS once the disk has failed
};

}  // namespace sink::store
