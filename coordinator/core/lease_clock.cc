// Bookkeeping of the steady clock.
#include "coordinator/core/lease_clock.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace sink {
namespace {

constexpr uint64_t kNoMorePolls = UINT64_MAX;

}  // namespace

void LeaseClock::Grant(uint64_t fence, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  leases_[fence] = {.granted = steady_ms, .heard = steady_ms, .ours = true};
}

void LeaseClock::Hear(uint64_t fence, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  LeaseTimes& times = leases_.try_emplace(fence, LeaseTimes{steady_ms, steady_ms}).first->second;
  times.heard = std::max(times.heard, steady_ms);
  times.listed = true;
}

LeaseClock::LeaseTimes LeaseClock::Lease(uint64_t fence, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  return leases_.try_emplace(fence, LeaseTimes{steady_ms, steady_ms}).first->second;
}

int64_t LeaseClock::GrantedMs(uint64_t fence) {
  MutexLock lock(&mutex_);
  const auto lease = leases_.find(fence);
  return lease != leases_.end() && lease->second.ours ? lease->second.granted : INT64_MIN;
}

void LeaseClock::KeepOnly(const absl::flat_hash_set<uint64_t>& fences) {
  MutexLock lock(&mutex_);
  absl::erase_if(leases_, [&fences](const auto& entry) { return !fences.contains(entry.first); });
}

LeaseClock::WorkerTimes LeaseClock::HearWorker(const std::string& id, int devices_free, int64_t steady_ms,
                                               int64_t unix_ms) {
  MutexLock lock(&mutex_);
  WorkerTimes& times = workers_[id];
  WorkerTimes before = times;
  times.heard = steady_ms;
  times.heard_unix_ms = unix_ms;
  times.devices_free = devices_free;
  times.left = false;
  return before;
}

std::optional<LeaseClock::WorkerTimes> LeaseClock::Leave(const std::string& id, const std::string& session,
                                                         int64_t steady_ms, int64_t unix_ms) {
  MutexLock lock(&mutex_);
  const auto known = sessions_.find(id);
  if (known == sessions_.end() || known->second != session) return std::nullopt;
  polls_[id] = {session, kNoMorePolls};  // one that is being answered may be behind this
  WorkerTimes& times = workers_[id];
  return std::exchange(times, {.heard = steady_ms, .heard_unix_ms = unix_ms, .left = true});
}

void LeaseClock::LetRest(const std::string& id, int64_t rest_ms) {
  MutexLock lock(&mutex_);
  const auto worker = workers_.find(id);
  if (worker != workers_.end()) worker->second.rest_ms = rest_ms;
}

void LeaseClock::HearGpus(const std::string& id, const std::vector<GpuUse>& gpus) {
  MutexLock lock(&mutex_);
  workers_[id].gpus = gpus;
}

LeaseClock::WorkerTimes LeaseClock::WorkerSeen(const std::string& id, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  return workers_.try_emplace(id, WorkerTimes{.heard = steady_ms}).first->second;
}

bool LeaseClock::FellSilentWithAnother(const std::string& id, int64_t late_ms, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  const auto lost = workers_.find(id);
  if (lost == workers_.end()) return false;
  const int64_t lost_ms = lost->second.heard;
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& worker) {
    const auto& [other, times] = worker;
    const int64_t allowed_ms = late_ms + times.rest_ms;
    return other != id && !times.left && steady_ms - times.heard > allowed_ms &&
           std::abs(times.heard - lost_ms) <= allowed_ms;
  });
}

void LeaseClock::ForgetWorker(const std::string& id) {
  MutexLock lock(&mutex_);
  workers_.erase(id);
  sessions_.erase(id);
  polls_.erase(id);
}

void LeaseClock::SetSession(const std::string& id, const std::string& session) {
  MutexLock lock(&mutex_);
  sessions_[id] = session;
  if (const auto polls = polls_.find(id); polls != polls_.end() && polls->second.newest == kNoMorePolls)
    polls_.erase(polls);
}

void LeaseClock::LearnSession(const std::string& id, const std::string& session) {
  MutexLock lock(&mutex_);
  sessions_.try_emplace(id, session);
}

bool LeaseClock::KnowsSession(const std::string& id, const std::string& session) {
  MutexLock lock(&mutex_);
  const auto known = sessions_.find(id);
  return known != sessions_.end() && known->second == session;
}

bool LeaseClock::AdmitPoll(const std::string& id, const std::string& session, uint64_t poll) {
  MutexLock lock(&mutex_);
  Polls& polls = polls_[id];
  if (polls.session != session) polls = {session, 0};
  if (poll < polls.newest) return false;
  polls.newest = poll;
  return true;
}

void LeaseClock::Delay(const std::string& job_id, int64_t until_steady_ms) {
  MutexLock lock(&mutex_);
  delays_[job_id] = until_steady_ms;
}

bool LeaseClock::DelayOver(const std::string& job_id, int64_t steady_ms) {
  MutexLock lock(&mutex_);
  const auto delay = delays_.find(job_id);
  if (delay == delays_.end()) return true;
  if (steady_ms < delay->second) return false;
  delays_.erase(delay);
  return true;
}

void LeaseClock::ForgetDelaysOver(int64_t steady_ms) {
  MutexLock lock(&mutex_);
  absl::erase_if(delays_, [steady_ms](const auto& entry) { return steady_ms >= entry.second; });
}

int64_t LeaseClock::SinceLastTick(int64_t steady_ms) {
  MutexLock lock(&mutex_);
  const int64_t gap = last_tick_ < 0 ? 0 : steady_ms - last_tick_;
  last_tick_ = steady_ms;
  return gap;
}

void LeaseClock::Extend(int64_t ms) {
  MutexLock lock(&mutex_);
  for (auto& [fence, times] : leases_) times.heard += ms;
  for (auto& [id, times] : workers_) times.heard += ms;
}

}  // namespace sink
