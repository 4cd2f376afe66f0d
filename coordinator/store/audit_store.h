// The rows of the audit log, in a database of their own: that they are written must not hold up the jobs' writer, nor
// the look-ups of who may call. Owned by AuditLog, which takes care that one thread at a time calls.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/job/audit_entry.h"
#include "coordinator/store/sqlite_db.h"

namespace sink::store {

class AuditStore {
 public:
  // Made when absent. FAILED_PRECONDITION: of a newer version.
  static absl::StatusOr<std::unique_ptr<AuditStore>> Open(const std::string& path);

  // Durable when it returns OK. The id is the store's.
  absl::Status Add(const AuditEntry& entry);
  // The newest `limit` entries before the id `before` (0: of all), newest first.
  absl::StatusOr<std::vector<AuditEntry>> Read(int64_t before, int limit);
  // Forgets all but the newest `keep`.
  absl::Status Trim(int64_t keep);

 private:
  explicit AuditStore(std::unique_ptr<Database> db) : db_(std::move(db)) {}

  const std::unique_ptr<Database> db_;
};

}  // namespace sink::store
