// See worker_health.h.
#include "coordinator/core/worker_health.h"

#include <algorithm>

namespace sink {
namespace {

// What `avoided` has of the job on the worker; null: nothing.
template <typename ByJob>
const auto* FindIn(const ByJob& avoided, const std::string& job_id, const std::string& worker_id) {
  const auto workers = avoided.find(job_id);
  using Found = decltype(&workers->second.begin()->second);
  if (workers == avoided.end()) return Found{nullptr};
  const auto found = workers->second.find(worker_id);
  return found == workers->second.end() ? Found{nullptr} : &found->second;
}

}  // namespace

int64_t WorkerHealth::Length(int quarantines) {
  return std::min(kLongestQuarantineMs, kFirstQuarantineMs << std::min(quarantines - 1, 10));
}

void WorkerHealth::Avoid(const std::string& job_id, const std::string& worker_id, bool counts, bool lost,
                         int64_t start_ms) {
  MutexLock lock(&mutex_);
  Avoided& avoided = avoided_[job_id][worker_id];
  avoided.lost |= lost;
  if (counts) ++avoided.failures;
  const int64_t length = !counts || avoided.failures == 1 ? kAvoidMs : Length(avoided.failures - 1);
  avoided.until_ms = std::max(avoided.until_ms.value_or(0), start_ms + length);
}

void WorkerHealth::Prolong(const std::string& job_id, int64_t start_ms, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  const auto workers = avoided_.find(job_id);
  if (workers == avoided_.end()) return;
  for (auto& [id, avoided] : workers->second) {
    if (avoided.until_ms && steady_ms < *avoided.until_ms)
      avoided.until_ms = std::max(*avoided.until_ms, start_ms + kAvoidMs);
  }
}

int64_t WorkerHealth::AvoidedMs(const std::string& job_id, const std::string& worker_id, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  const Avoided* avoided = FindIn(avoided_, job_id, worker_id);
  return avoided != nullptr && avoided->until_ms ? std::max<int64_t>(0, *avoided->until_ms - steady_ms) : 0;
}

bool WorkerHealth::HasFailedOn(const std::string& job_id, const std::string& worker_id) {
  MutexLock lock(&mutex_);
  const Avoided* avoided = FindIn(avoided_, job_id, worker_id);
  return avoided != nullptr && avoided->failures > 0;
}

bool WorkerHealth::EndAvoided(int64_t steady_ms) {
  MutexLock lock(&mutex_);
  bool ended = false;
  absl::erase_if(avoided_, [&](auto& job) {
    absl::erase_if(job.second, [&](auto& worker) {
      Avoided& avoided = worker.second;
      if (avoided.until_ms && steady_ms >= *avoided.until_ms) {
        avoided.until_ms.reset();
        ended = true;
      }
      return !avoided.until_ms && avoided.failures == 0;
    });
    return job.second.empty();
  });
  return ended;
}

void WorkerHealth::ForgetJob(const std::string& job_id) {
  MutexLock lock(&mutex_);
  avoided_.erase(job_id);
}

void WorkerHealth::LiftAvoided(const std::string& worker_id, absl::FunctionRef<bool(const Avoided&)> lifts) {
  absl::erase_if(avoided_, [&](auto& job) {
    const auto avoided = job.second.find(worker_id);
    if (avoided != job.second.end() && lifts(avoided->second)) job.second.erase(avoided);
    return job.second.empty();
  });
}

bool WorkerHealth::Begin(Record& record, int64_t steady_ms) {
  if (record.until_ms) return false;
  record.until_ms = steady_ms + Length(++record.quarantines);
  record.for_loss = false;
  return true;
}

bool WorkerHealth::CountEarly(Record& record, const std::string& job_id, int64_t steady_ms) {
  record.failed.insert(job_id);
  record.failed_ms = steady_ms;
  const bool on_probation = record.quarantines > 0;
  return (on_probation || record.failed.size() >= kFailuresInARow) && Begin(record, steady_ms);
}

bool WorkerHealth::CountLate(Record& record, const std::string& job_id, int64_t begun_ms, int64_t steady_ms) {
  if (!record.failed_late.empty() && begun_ms < record.failed_late_ms) return false;
  record.failed_late.insert(job_id);
  record.failed_late_ms = steady_ms;
  return record.failed_late.size() >= kFailuresInARow && Begin(record, steady_ms);
}

bool WorkerHealth::Failed(const std::string& worker_id, const std::string& job_id, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  return CountEarly(workers_[worker_id], job_id, steady_ms);
}

bool WorkerHealth::FailedLate(const std::string& worker_id, const std::string& job_id, int64_t begun_ms,
                              int64_t steady_ms) {
  MutexLock lock(&mutex_);
  return CountLate(workers_[worker_id], job_id, begun_ms, steady_ms);
}

bool WorkerHealth::Lost(const std::string& worker_id, const std::string& job_id, bool late, int64_t begun_ms,
                        int64_t steady_ms) {
  MutexLock lock(&mutex_);
  Record& record = workers_[worker_id];
  if (!late && !record.failed.empty() && begun_ms < record.failed_ms) return false;
  const bool begins = late ? CountLate(record, job_id, begun_ms, steady_ms) : CountEarly(record, job_id, steady_ms);
  if (begins) record.for_loss = true;
  return begins;
}

void WorkerHealth::Stepped(const std::string& worker_id, int64_t begun_ms) {
  MutexLock lock(&mutex_);
  const auto record = workers_.find(worker_id);
  if (record == workers_.end() || record->second.until_ms) return;
  if (!record->second.failed.empty() && begun_ms < record->second.failed_ms) return;
  record->second.failed.clear();
  LiftAvoided(worker_id, [](const Avoided& avoided) { return avoided.failures > 0; });
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
  LiftAvoided(worker_id, [](const Avoided&) { return true; });
}

bool WorkerHealth::StartedAnew(const std::string& worker_id, bool said_goodbye) {
  MutexLock lock(&mutex_);
  LiftAvoided(worker_id, [&](const Avoided& avoided) { return said_goodbye || !avoided.lost; });
  const auto record = workers_.find(worker_id);
  return said_goodbye || record == workers_.end() || !record->second.until_ms || !record->second.for_loss;
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
