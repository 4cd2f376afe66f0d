// The connection that writes: bodies of many callers in one transaction, each in a savepoint of its own, made durable
// together. It has no thread and no clock: SqliteStore gives it both, and a queue. One thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <utility>

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
  // `writer` has the newest schema.
  explicit GroupCommit(std::unique_ptr<Database> writer) : writer_(std::move(writer)) {}

  // Runs the bodies that `next` hands out until it returns null, and commits them. Afterwards each one's status is what
  // its caller is to be told: OK when it is durable. `next` is asked at least once.
  void Commit(const std::function<PendingWrite*()>& next);

 private:
  absl::Status RunBody(const PendingWrite& write);

  const std::unique_ptr<Database> writer_;
  SeriesNames names_;
  absl::Status failure_;  // DATA_LOSS once the disk has failed
};

}  // namespace sink::store
