// When leases and workers were last heard of, and when retry delays end: everything that core measures on the steady
// clock. Nothing here is stored; what is not known counts as heard of now. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "coordinator/job/mutex.h"

namespace sink {

class LeaseClock {
 public:
  struct LeaseTimes {
    int64_t granted = 0;
    int64_t heard = 0;
  };
  struct WorkerTimes {
    int64_t heard = 0;
    int devices_free = 0;
    uint64_t newest_poll = 0;
    std::string session;
  };

  // Leases, by fence.
  void Hear(uint64_t fence, int64_t steady_ms);
  LeaseTimes Lease(uint64_t fence, int64_t steady_ms);  // starts the count when the lease is new
  void KeepOnly(const std::vector<uint64_t>& fences);   // forgets the rest

  // Workers, by id.
  void HearWorker(const std::string& id, const std::string& session, int devices_free, int64_t steady_ms);
  WorkerTimes WorkerSeen(const std::string& id, int64_t steady_ms);
  // False when `poll` is older than one already asked in this session.
  bool AdmitPoll(const std::string& id, const std::string& session, uint64_t poll);

  // Retry delays, by job.
  void Delay(const std::string& job_id, int64_t until_steady_ms);
  std::vector<std::string> DelaysOver(int64_t steady_ms) const;
  void EndDelay(const std::string& job_id);

  // Moves everything heard so far `ms` later: time in which this process did not run is nobody's silence.
  void Extend(int64_t ms);
  // Milliseconds since the call before; 0 the first time.
  int64_t SinceLastTick(int64_t steady_ms);

 private:
  Mutex mutex_;
  absl::flat_hash_map<uint64_t, LeaseTimes> leases_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, WorkerTimes> workers_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, int64_t> delays_ ABSL_GUARDED_BY(mutex_);
  int64_t last_tick_ ABSL_GUARDED_BY(mutex_) = -1;
};

}  // namespace sink
