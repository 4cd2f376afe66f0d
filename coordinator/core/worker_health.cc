// See worker_health.h.
#include "coordinator/core/worker_health.h"

#include <algorithm>

namespace sink {

int64_t WorkerHealth::Length(int quarantines) {
  return std::min(kLongestQuarantineMs, kFirstQuarantineMs << std::min(quarantines - 1, 10));
}

void WorkerHealth::Avoid(const std::string& job_id, const std::string& worker_id, int64_t until_ms) {
  MutexLock lock(&mutex_);
  Avoided& avoided = avoided_[job_id];
  avoided.workers.insert(worker_id);
  avoided.until_ms = std::max(avoided.until_ms, until_ms);
}

void WorkerHealth::Prolong(const std::string& job_id, int64_t until_ms) {
  MutexLock lock(&mutex_);
  const auto avoided = avoided_.find(job_id);
  if (avoided != avoided_.end()) avoided->second.until_ms = std::max(avoided->second.until_ms, until_ms);
}

bool WorkerHealth::Avoids(const std::string& job_id, const std::string& worker_id, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  const auto avoided = avoided_.find(job_id);
  return avoided != avoided_.end() && steady_ms < avoided->second.until_ms &&
         avoided->second.workers.contains(worker_id);
}

bool WorkerHealth::ForgetAvoided(int64_t steady_ms) {
  MutexLock lock(&mutex_);
  return absl::erase_if(avoided_, [&](const auto& entry) { return steady_ms >= entry.second.until_ms; }) > 0;
}

bool WorkerHealth::Begin(Record& record, int64_t steady_ms) {
  if (record.until_ms) return false;
  record.until_ms = steady_ms + Length(++record.quarantines);
  return true;
}

bool WorkerHealth::Failed(const std::string& worker_id, const std::string& job_id, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  Record& record = workers_[worker_id];
  record.failed.insert(job_id);
  record.failed_ms = steady_ms;
  const bool on_probation = record.quarantines > 0;
  return (on_probation || record.failed.size() >= kFailuresInARow) && Begin(record, steady_ms);
}

bool WorkerHealth::FailedLate(const std::string& worker_id, const std::string& job_id, int64_t begun_ms,
                              int64_t steady_ms) {
  MutexLock lock(&mutex_);
  Record& record = workers_[worker_id];
  if (!record.failed_late.empty() && begun_ms < record.failed_late_ms) return false;
  record.failed_late.insert(job_id);
  record.failed_late_ms = steady_ms;
  return record.failed_late.size() >= kFailuresInARow && Begin(record, steady_ms);
}

void WorkerHealth::Stepped(const std::string& worker_id, int64_t begun_ms) {
  MutexLock lock(&mutex_);
  const auto record = workers_.find(worker_id);
  if (record == workers_.end() || record->second.until_ms) return;
  if (!record->second.failed.empty() && begun_ms < record->second.failed_ms) return;
  record->second.failed.clear();
  // One that trains well until it saves stays on probation.
  if (record->second.failed_late.size() < kFailuresInARow) record->second.quarantines = 0;
}

void WorkerHealth::Saved(const std::string& worker_id) {
  MutexLock lock(&mutex_);
  const auto record = workers_.find(worker_id);
  if (record != workers_.end() && !record->second.until_ms) record->second.failed_late.clear();
}

void WorkerHealth::Succeeded(const std::string& worker_id) {
  MutexLock lock(&mutex_);
  const auto record = workers_.find(worker_id);
  if (record != workers_.end() && !record->second.until_ms) workers_.erase(record);
}

void WorkerHealth::Forget(const std::string& worker_id) {
  MutexLock lock(&mutex_);
  workers_.erase(worker_id);
}

void WorkerHealth::Quarantined(const std::string& worker_id, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  Record& record = workers_[worker_id];
  if (record.until_ms) return;
  record.quarantines = std::max(record.quarantines, 1);
  record.until_ms = steady_ms + Length(record.quarantines);
}

std::vector<std::string> WorkerHealth::Released(int64_t steady_ms) {
  std::vector<std::string> released;
  MutexLock lock(&mutex_);
  for (auto& [id, record] : workers_) {
    if (!record.until_ms || steady_ms < *record.until_ms) continue;
    record.until_ms.reset();
    record.failed.clear();
    released.push_back(id);
  }
  return released;
}

}  // namespace sink
