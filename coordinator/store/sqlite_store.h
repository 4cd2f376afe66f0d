// The coordinator's store on disk: one SQLite file in a folder that one process owns. One thread writes and checkpoints
// (SQLite before 3.51.3 may lose data when two connections do) and commits the bodies of many callers together; a few
// read-only connections serve Read. Any thread may call it.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "coordinator/job/mutex.h"
#include "coordinator/store/database_place.h"
#include "coordinator/store/group_commit.h"
#include "coordinator/store/job_store.h"
#include "coordinator/store/series_names.h"
#include "coordinator/store/sqlite_db.h"
#include "coordinator/store/write_watch.h"

namespace sink::store {

class SqliteStore final : public JobStore {
 public:
  struct Options {
    int readers = 4;        // reads at once; further ones wait
    int64_t max_pages = 0;  // of 4 KiB: the database may not grow beyond; 0: no limit but the disk
    // Processor time of one body of Write, far above what any takes that will end: then the process ends (exit status
    // 1), because the thread that all writes wait for cannot be had back. `told` is given a sentence about it before.
    std::chrono::nanoseconds write_limit = std::chrono::minutes(2);
    std::function<void(const std::string&)> told = nullptr;
  };

  // Creates the folder and the database where they do not exist. FAILED_PRECONDITION: another process has the folder,
  // or a salvage of it was interrupted, or the database is newer than this program, or its settings cannot be made
  // safe. DATA_LOSS: it is damaged, or its log is, and nothing was changed (wal_check.h).
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& folder, const Options& options);
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& folder) {
    return Open(folder, Options());
  }
  ~SqliteStore() override;  // finishes what was accepted

  // UNAVAILABLE while the database is not at its place, with what helps (database_place.h). So does every write answer
  // then, as nothing that it said would be there at the next start.
  absl::Status CheckInPlace() const { return place_.Check(); }

  absl::Status Write(const std::function<absl::Status(Transaction&)>& body) override { return Queue(body, false); }
  absl::Status WriteLarge(const std::function<absl::Status(Transaction&)>& body) override { return Queue(body, true); }
  absl::Status Read(const std::function<absl::Status(Snapshot&)>& body) override;

 private:
  // A caller of Write, waiting on its own stack.
  struct Waiter {
    PendingWrite write;
    bool done = false;
    CondVar answered;
  };

  // A connection with what it has looked up.
  struct Reader {
    std::unique_ptr<Database> db;
    SeriesNames names;
  };

  SqliteStore(int lock_fd, const std::string& path, std::unique_ptr<Database> writer,
              std::vector<std::unique_ptr<Reader>> readers, const Options& options);

  absl::Status Queue(const std::function<absl::Status(Transaction&)>& body, bool large);
  void WriteLoop();
  Waiter* FirstWaiter();  // waits; null when the store closes
  Waiter* NextWaiter();   // null when there is none that may join a group
  void CommitGroup(Waiter* first);

  const int lock_fd_;
  const DatabasePlace place_;
  const std::unique_ptr<Database> writing_connection_;
  GroupCommit writer_;  // write thread only

  Mutex mutex_;
  CondVar work_;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Waiter*> queue_ ABSL_GUARDED_BY(mutex_);

  Mutex readers_mutex_;
  CondVar reader_free_;
  std::vector<std::unique_ptr<Reader>> readers_ ABSL_GUARDED_BY(readers_mutex_);  // those not in use

  WriteWatch watch_;
  std::thread thread_;  // last: starts when all else is made
};

}  // namespace sink::store
