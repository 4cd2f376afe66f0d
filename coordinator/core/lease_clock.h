// When leases and workers were last heard of, what workers then said of their devices, and when retry delays end:
// everything that core measures on the steady clock. Nothing here is stored; a lease that is not known counts as heard
// of now, which gives every lease a fresh full duration after a restart. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "coordinator/job/job.h"
#include "coordinator/job/mutex.h"

namespace sink {

class LeaseClock {
 public:
  struct LeaseTimes {
    int64_t granted = 0;
    int64_t heard = 0;
    bool listed = false;  // its worker has named it, so the grant did arrive
    bool ours = false;    // granted by this process
  };
  struct WorkerTimes {
    int64_t heard = 0;
    int64_t heard_unix_ms = 0;  // 0: not since this process began
    int devices_free = 0;
    int64_t rest_ms = 0;  // that its silence may last beyond what others' may
    std::vector<GpuUse> gpus = {};
    bool left = false;  // the last that it said was that it ends
  };

  // Leases, by fence.
  void Grant(uint64_t fence, int64_t steady_ms);               // it is granted now
  void Hear(uint64_t fence, int64_t steady_ms);                // its worker has named it
  LeaseTimes Lease(uint64_t fence, int64_t steady_ms);         // starts the count when the lease is new
  void KeepOnly(const absl::flat_hash_set<uint64_t>& fences);  // forgets the rest
  // When a lease was granted; INT64_MIN of one that this process has not granted, which is older than all that core
  // knows of workers' failures.
  int64_t GrantedMs(uint64_t fence);

  // Workers, by id.
  // Returns what was known of it before.
  WorkerTimes HearWorker(const std::string& id, int devices_free, int64_t steady_ms, int64_t unix_ms);
  // The same of its last word, by which it has nothing to give from now on, and each of its questions is late until it
  // registers again. None, and nothing changes, unless it comes from the session that is the worker now.
  std::optional<WorkerTimes> Leave(const std::string& id, const std::string& session, int64_t steady_ms,
                                   int64_t unix_ms);
  void LetRest(const std::string& id, int64_t rest_ms);                   // one that was heard; 0: no more
  void HearGpus(const std::string& id, const std::vector<GpuUse>& gpus);  // of a worker that was heard
  WorkerTimes WorkerSeen(const std::string& id, int64_t steady_ms);       // starts the count when the worker is new
  // Whether another worker, which has not said goodbye, was last heard when this one was and has been silent since:
  // what both are missed for may be the network's doing. `late_ms`: the longest silence of one that is well, beside
  // its rest.
  bool FellSilentWithAnother(const std::string& id, int64_t late_ms, int64_t steady_ms);
  void ForgetWorker(const std::string& id);
  // The session of the daemon that is the worker now, so that an idle one's heartbeat reads nothing. SetSession: it has
  // registered; LearnSession: so the store says, unless a registration has said otherwise since.
  void SetSession(const std::string& id, const std::string& session);
  void LearnSession(const std::string& id, const std::string& session);
  bool KnowsSession(const std::string& id, const std::string& session);
  // False when `poll` is older than one already asked in this session: a late copy, whose answer nobody awaits.
  bool AdmitPoll(const std::string& id, const std::string& session, uint64_t poll);

  // Retry delays, by job.
  void Delay(const std::string& job_id, int64_t until_steady_ms);
  bool DelayOver(const std::string& job_id, int64_t steady_ms);  // forgets it when it is
  void ForgetDelaysOver(int64_t steady_ms);                      // also those of jobs that have ended while they waited

  // Milliseconds since the call before; 0 the first time.
  int64_t SinceLastTick(int64_t steady_ms);
  // Moves everything heard so far `ms` later: time in which this process did not run is nobody's silence.
  void Extend(int64_t ms);

 private:
  struct Polls {
    std::string session;
    uint64_t newest = 0;
  };

  Mutex mutex_;
  absl::flat_hash_map<uint64_t, LeaseTimes> leases_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, WorkerTimes> workers_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::string> sessions_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Polls> polls_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, int64_t> delays_ ABSL_GUARDED_BY(mutex_);
  int64_t last_tick_ ABSL_GUARDED_BY(mutex_) = -1;
};

}  // namespace sink
