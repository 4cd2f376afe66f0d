// See audit_log.h.
#include "coordinator/core/audit_log.h"

#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

constexpr int64_t kRowsKept = 100'000;
constexpr int kTrimEvery = 1'000;
constexpr int64_t kRefusalEveryMs = 60'000;
constexpr size_t kMostRefusers = 4'096;

// A row that was made at `last` stands for what happens at `now`, too. One of a time that is long to come is of a clock
// that was ahead, and stands for nothing; a moment to come it is where two threads were refused at once.
bool StandsFor(int64_t last, int64_t now) { return now > last - kRefusalEveryMs && now < last + kRefusalEveryMs; }

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const std::string& database) {
  SINK_ASSIGN_OR_RETURN(std::unique_ptr<store::AuditStore> store, store::AuditStore::Open(database));
  return std::unique_ptr<AuditLog>(new AuditLog(std::move(store)));
}

absl::Status AuditLog::Add(const AuditEntry& entry) {
  MutexLock lock(&mutex_);
  SINK_RETURN_IF_ERROR(store_->Add(entry));
  if (++added_ % kTrimEvery != 0) return absl::OkStatus();
  return store_->Trim(kRowsKept);
}

void AuditLog::AddRefusal(AuditEntry entry) {
  MutexLock lock(&pending_mutex_);
  if (refused_.size() >= kMostRefusers) {
    absl::erase_if(refused_, [&entry](const auto& old) { return !StandsFor(old.second, entry.time_ms); });
    if (refused_.size() >= kMostRefusers) return;
  }
  int64_t& last = refused_[{entry.who, entry.action}];
  if (last != 0 && StandsFor(last, entry.time_ms)) return;
  last = entry.time_ms;
  pending_.push_back(std::move(entry));
}

absl::Status AuditLog::Flush() {
  std::vector<AuditEntry> entries;
  {
    MutexLock lock(&pending_mutex_);
    entries.swap(pending_);
  }
  for (const AuditEntry& entry : entries) SINK_RETURN_IF_ERROR(Add(entry));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<AuditEntry>> AuditLog::Read(int64_t before, int limit) {
  MutexLock lock(&mutex_);
  return store_->Read(before, limit);
}

}  // namespace sink
