// What was changed, by whom: a row for each change, and for refused calls one a minute of each caller and method, so
// that a caller which keeps trying cannot fill the log. The newest 100,000 rows stay. Owned by the server; any thread.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/job/audit_entry.h"
#include "coordinator/job/mutex.h"
#include "coordinator/store/audit_store.h"

namespace sink {

class AuditLog {
 public:
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::string& database);

  // Durable when it returns OK.
  absl::Status Add(const AuditEntry& entry) ABSL_LOCKS_EXCLUDED(mutex_);
  // Remembers it for Flush; does not block.
  void AddRefusal(AuditEntry entry) ABSL_LOCKS_EXCLUDED(pending_mutex_);
  // Stores what is remembered. For a thread that may wait for the disk.
  absl::Status Flush() ABSL_LOCKS_EXCLUDED(mutex_, pending_mutex_);

  // The newest `limit` entries before `before` (0: of all), newest first.
  absl::StatusOr<std::vector<AuditEntry>> Read(int64_t before, int limit) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  explicit AuditLog(std::unique_ptr<store::AuditStore> store) : store_(std::move(store)) {}

  Mutex mutex_;
  const std::unique_ptr<store::AuditStore> store_ ABSL_PT_GUARDED_BY(mutex_);
  int added_ ABSL_GUARDED_BY(mutex_) = 0;

  Mutex pending_mutex_;
  std::vector<AuditEntry> pending_ ABSL_GUARDED_BY(pending_mutex_);
  absl::flat_hash_map<std::pair<std::string, std::string>, int64_t> refused_
      ABSL_GUARDED_BY(pending_mutex_);  // (who, action) -> when a row was last made
};

}  // namespace sink
