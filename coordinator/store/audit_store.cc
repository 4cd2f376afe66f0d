// See audit_store.h.
#include "coordinator/store/audit_store.h"

#include <limits>

#include "coordinator/job/status_macros.h"
#include "coordinator/store/side_database.h"

namespace sink::store {
namespace {

constexpr int kVersion = 1;
constexpr char kSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time_ms INTEGER NOT NULL,
  who TEXT NOT NULL,
  origin TEXT NOT NULL,
  action TEXT NOT NULL,
  object TEXT NOT NULL,
  outcome TEXT NOT NULL
) STRICT;
)sql";

}  // namespace

absl::StatusOr<std::unique_ptr<AuditStore>> AuditStore::Open(const std::string& path) {
  SINK_ASSIGN_OR_RETURN(std::unique_ptr<Database> db, OpenSideDatabase(path, kVersion, kSchema));
  return std::unique_ptr<AuditStore>(new AuditStore(std::move(db)));
}

absl::Status AuditStore::Add(const AuditEntry& entry) {
  return db_->Write([&] {
    return Query(*db_,
                 "INSERT INTO audit (time_ms, who, origin, action, object, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                 entry.time_ms, entry.who, entry.from, entry.action, entry.object, entry.outcome)
        .Run();
  });
}

absl::StatusOr<std::vector<AuditEntry>> AuditStore::Read(int64_t before, int limit) {
  std::vector<AuditEntry> entries;
  Query rows(*db_,
             "SELECT id, time_ms, who, origin, action, object, outcome FROM audit WHERE id < ?1 ORDER BY id DESC "
             "LIMIT ?2",
             before > 0 ? before : std::numeric_limits<int64_t>::max(), limit);
  while (rows.Next()) {
    entries.push_back({.id = rows.Int(0),
                       .time_ms = rows.Int(1),
                       .who = rows.Text(2),
                       .from = rows.Text(3),
                       .action = rows.Text(4),
                       .object = rows.Text(5),
                       .outcome = rows.Text(6)});
  }
  if (!rows.status().ok()) return rows.status();
  return entries;
}

absl::Status AuditStore::Trim(int64_t keep) {
  return db_->Write(
      [&] { return Query(*db_, "DELETE FROM audit WHERE id <= (SELECT MAX(id) FROM audit) - ?1", keep).Run(); });
}

}  // namespace sink::store
