// What the simulated world knows to be promised, and the check that the coordinator keeps it. Told by the coordinator's
// side of every call that was answered, and by the workers of what they did; attempts are known by their fence. One
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "coordinator/core/job_manager.h"
#include "coordinator/core/requests.h"
#include "tests/simulator/checkpoint_files.h"

namespace sink::simulator {

// Deterministic training: the value depends on job and step alone.
double LossOf(const std::string& job_id, int64_t step);
std::string LineOf(uint64_t fence, int64_t step);
std::string HashOf(const std::string& job_id, uint64_t fence, int64_t step);  // of a checkpoint's manifest

class Oracle {
 public:
  // The first thing that went wrong; empty while all is well.
  const std::string& failure() const { return failure_; }
  void Fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
  }

  // A coordinator began; its epoch must be above every earlier one.
  void Started(uint64_t epoch);
  void Submitted(const std::vector<std::string>& jobs);
  void CancelAsked(const std::string& job) { cancel_asked_.insert(job); }
  using Fences = std::map<std::string, uint64_t>;  // by job
  // The newest that were ever given.
  const Fences& newest_fences() const { return newest_fences_; }
  // A question was answered with this grant, that came when `known` were the newest fences.
  void Granted(const Grant& grant, const Fences& known);
  // The fence under which the job's ranks are now: 0 before the first.
  uint64_t NewestFence(const std::string& job) const;
  // A call under this lease was accepted that came when `newest` was the newest fence.
  void Accepted(const char* call, const Lease& lease, uint64_t newest);
  void Durable(const Lease& lease, uint64_t seq) {
    promised_.events[lease.fence] = std::max(promised_.events[lease.fence], seq);
  }
  // A checkpoint was acknowledged. `intact`: what is kept is what its trainer wrote.
  void Committed(const Lease& lease, int64_t step, bool intact);
  // The newest checkpoint that was acknowledged and that no damage has met since; fence and step are 0 without one.
  struct Kept {
    uint64_t fence = 0;
    int64_t step = 0;
  };
  Kept NewestCheckpoint(const std::string& job) const;
  // The disk has changed its bytes: it may be lost, and no other.
  void Damaged(const std::string& job, const Kept& checkpoint);
  // A repetition is accepted whatever has come since.
  void Finished(const Lease& lease, JobState outcome, uint64_t newest);

  // The worker's side. Events are numbered from 1.
  struct Spooling {
    int64_t line_of = 0;   // the step of which it leaves a line; 0: none
    int64_t point_of = 0;  // the same of a point
  };
  void Spooled(uint64_t fence, const Spooling& event) { spooled_[fence].push_back(event); }
  // A trainer goes on from these bytes (null: begins anew), when the job's newest checkpoint was of step `promised`.
  // `intact`: they are what was written.
  void Resumed(const Lease& lease, const Checkpoint* from, bool intact, int64_t promised);
  // A trainer of rank 0 began or ended. None may begin while one of an earlier attempt is alive, unless that one's
  // worker was frozen, its lease was never confirmed, or others of its gang were lost.
  void TrainerBegan(const Lease& lease);
  void Confirmed(uint64_t fence);
  void Excuse(uint64_t fence);
  void TrainerEnded(const Lease& lease);

  // A copy of the store was taken; the store is that copy again.
  void BackedUp() { saved_ = promised_; }
  void Restored();

  // At the end, when every job should be final and all be there.
  void CheckEnd(JobManager* manager, const CheckpointFiles& files, int64_t steps);

 private:
  struct Promises {
    std::set<std::string> jobs;
    std::map<uint64_t, uint64_t> events;                             // highest durable, by fence
    std::map<std::string, std::map<int64_t, uint64_t>> checkpoints;  // fences by step, by job
    std::map<uint64_t, JobState> ends;                               // accepted outcome, by fence
    Fences fences;                                                   // of the newest attempt, by job
  };
  struct Trainer {
    Lease lease;
    bool confirmed = false, excused = false;
  };
  void CheckJob(JobManager* manager, const CheckpointFiles& files, const std::string& job, int64_t steps);
  void CheckPoints(JobManager* manager, const JobDetails& details, int64_t steps);
  void CheckCheckpoints(JobManager* manager, const CheckpointFiles& files, const std::string& job);
  void CheckLogs(JobManager* manager, const JobDetails& details);

  std::string failure_;
  uint64_t epoch_ = 0;
  std::map<uint64_t, Lease> granted_;
  Fences newest_fences_;
  std::set<std::string> cancel_asked_;
  std::map<uint64_t, std::vector<Spooling>> spooled_;
  std::set<CheckpointFiles::Key> damaged_;
  std::map<std::string, std::vector<Trainer>> trainers_;  // alive
  Promises promised_, saved_;
};

}  // namespace sink::simulator
