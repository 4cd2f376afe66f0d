// Whether it is the machine or the job: what failed where, as far as it matters for the next attempt. A job that failed
// on a worker for reasons of infrastructure is kept from it for a while, as long as there are others: for a minute, and
// where it fails there again and again before a training step, for as long as a quarantine would be. A worker on which
// different jobs fail so one after the other is put into quarantine: for ten minutes, then twice as long with each
// further failure, so that a fault that passes costs no weekend. Nothing here is stored but what its caller makes of
// it. Any thread.
//
// A daemon that starts anew may come from a person who has put its machine right, so jobs that failed there may try it
// again, and its quarantine ends. A machine that dies under its jobs comes back with a new daemon, too, each time: what
// was held against it for jobs that were lost with it stays its time, unless the daemon before had said goodbye.
//
// Failures before a training step and after some are counted apart. Any step shows that the machine can train, and ends
// the count of the former. Only what is brought home, a checkpoint or a whole job, ends that of the latter: a worker
// with a full disk trains well until it saves. Of those, and of all that were lost with their worker, attempts that ran
// side by side count as one, since a lost network or a machine that starts anew ends them all at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "coordinator/job/mutex.h"

namespace sink {

class WorkerHealth {
 public:
  static constexpr size_t kFailuresInARow = 3;  // of different jobs
  static constexpr int64_t kFirstQuarantineMs = 10 * 60'000;
  static constexpr int64_t kLongestQuarantineMs = 4 * 3'600'000;
  static constexpr int64_t kAvoidMs = 60'000;  // from when the job may start again

  // An attempt of the job, which may start again at `start_ms`, failed there: for a while the next ones go to other
  // workers where there are any. `counts`: it is a failure before a training step. `lost`: the worker was lost with it.
  void Avoid(const std::string& job_id, const std::string& worker_id, bool counts, bool lost, int64_t start_ms)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The job may start again later than was thought: what it is kept from now, it is kept from for a while from then.
  void Prolong(const std::string& job_id, int64_t start_ms, int64_t steady_ms) ABSL_LOCKS_EXCLUDED(mutex_);
  // How much longer the job is kept from that worker, in ms; 0: it is not.
  int64_t AvoidedMs(const std::string& job_id, const std::string& worker_id, int64_t steady_ms)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether it ever failed there before a training step, and nothing has shown since that the worker can train.
  bool HasFailedOn(const std::string& job_id, const std::string& worker_id) ABSL_LOCKS_EXCLUDED(mutex_);
  // True where such a while has ended since it was last asked: a job may start on a worker that it was kept from.
  bool EndAvoided(int64_t steady_ms) ABSL_LOCKS_EXCLUDED(mutex_);
  // It has ended.
  void ForgetJob(const std::string& job_id) ABSL_LOCKS_EXCLUDED(mutex_);

  // It failed before a training step. True when the worker has to be put into quarantine.
  bool Failed(const std::string& worker_id, const std::string& job_id, int64_t steady_ms) ABSL_LOCKS_EXCLUDED(mutex_);
  // It failed after training steps, in an attempt that had begun at `begun_ms`. As above.
  bool FailedLate(const std::string& worker_id, const std::string& job_id, int64_t begun_ms, int64_t steady_ms)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The worker was lost with it, `late` after training steps, in an attempt that had begun at `begun_ms`. As above.
  bool Lost(const std::string& worker_id, const std::string& job_id, bool late, int64_t begun_ms, int64_t steady_ms)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // An attempt that has ended, and had begun at `begun_ms`, made a training step there; a checkpoint of one is safe;
  // one has ended well. A quarantine goes on, and steps of an attempt that had begun before the last failure do not end
  // the count: what was before proves nothing of the failures.
  void Stepped(const std::string& worker_id, int64_t begun_ms) ABSL_LOCKS_EXCLUDED(mutex_);
  void Saved(const std::string& worker_id) ABSL_LOCKS_EXCLUDED(mutex_);
  void Succeeded(const std::string& worker_id) ABSL_LOCKS_EXCLUDED(mutex_);
  // Nothing is held against it any more: a person says that it is well, it has started anew, or it is gone.
  void Forget(const std::string& worker_id) ABSL_LOCKS_EXCLUDED(mutex_);
  // Its daemon has started anew: jobs that failed there may try it again, but for those that were lost there where the
  // daemon before had not said goodbye. False where its quarantine is not to end with that: it began with such a loss.
  bool StartedAnew(const std::string& worker_id, bool said_goodbye) ABSL_LOCKS_EXCLUDED(mutex_);
  // A worker that was in quarantine when this process began, whatever for: from now on.
  void Quarantined(const std::string& worker_id, int64_t steady_ms) ABSL_LOCKS_EXCLUDED(mutex_);
  // Workers whose quarantine is over: each is on probation, where one more failure brings it back.
  std::vector<std::string> Released(int64_t steady_ms) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Record {
    absl::flat_hash_set<std::string> failed;       // jobs, since a step
    int64_t failed_ms = 0;                         // when the last of these did
    absl::flat_hash_set<std::string> failed_late;  // jobs, since something was saved
    int64_t failed_late_ms = 0;                    // likewise
    int quarantines = 0;                           // one after the other
    std::optional<int64_t> until_ms;               // of the one it is in
    bool for_loss = false;                         // which the loss of a job with it began
  };
  struct Avoided {
    int failures = 0;                 // before a training step
    bool lost = false;                // of the job's attempts there, one was lost with the worker
    std::optional<int64_t> until_ms;  // while the job is kept from it
  };
  static int64_t Length(int quarantines);
  // What `lifts` says so of is not kept from it any more.
  void LiftAvoided(const std::string& worker_id, absl::FunctionRef<bool(const Avoided&)> lifts)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Count a failure before a step, or after some. True where a quarantine begins, as there is none yet.
  static bool CountEarly(Record& record, const std::string& job_id, int64_t steady_ms);
  static bool CountLate(Record& record, const std::string& job_id, int64_t begun_ms, int64_t steady_ms);
  static bool Begin(Record& record, int64_t steady_ms);

  Mutex mutex_;
  absl::flat_hash_map<std::string, Record> workers_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, absl::flat_hash_map<std::string, Avoided>> avoided_
      ABSL_GUARDED_BY(mutex_);  // by job, by worker
};

}  // namespace sink
