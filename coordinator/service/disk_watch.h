// Whether the coordinator's disk has room, in all and for the checkpoints that workers want to send, and takes them,
// and whether that of the checkpoints, and the database, are there at all: looked at once a tick, told in the log when
// it changes, and to people who ask for a status or why a job is where it is. A disk that fills up, goes or becomes
// read-only unnoticed keeps every job FINALIZING, as no checkpoint can be taken. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "coordinator/job/job.h"
#include "coordinator/job/mutex.h"

namespace sink {

class Families;

class DiskWatch {
 public:
  // A worker tries again at least so often: a checkpoint of which longer nothing was heard waits no more.
  static constexpr int64_t kForgottenAfterMs = 30'000;

  // `folder` is on the disk. Below `reserve_bytes`, which are left to the database, it counts as full; below four times
  // as many as nearly full.
  DiskWatch(std::string folder, uint64_t reserve_bytes) : folder_(std::move(folder)), reserve_bytes_(reserve_bytes) {}

  // Times are of a steady clock. `checkpoints`: what CheckpointRepository::CheckHere says; `database`: what
  // SqliteStore::CheckInPlace says.
  void Look(int64_t now_ms, const absl::Status& checkpoints = absl::OkStatus(),
            const absl::Status& database = absl::OkStatus()) ABSL_LOCKS_EXCLUDED(mutex_);
  // The job's checkpoint cannot be stored now. `why`, RESOURCE_EXHAUSTED: there is no room for it, on the disk or in
  // the job's share of it, and how much it needs and may have; any other: what failed, with its path.
  void Refused(const std::string& job_id, const absl::Status& why, int64_t now_ms) ABSL_LOCKS_EXCLUDED(mutex_);
  // Its upload has begun: it waits for room no more. What failed otherwise may fail again, and is told until one is
  // committed.
  void FoundRoom(const std::string& job_id) ABSL_LOCKS_EXCLUDED(mutex_);
  // It is stored, or none is to come.
  void WaitsNoMore(const std::string& job_id) ABSL_LOCKS_EXCLUDED(mutex_);

  // A sentence for people, as of the last look; empty as long as there is room and no checkpoint waits.
  std::string Warning() const ABSL_LOCKS_EXCLUDED(mutex_);
  // What of it concerns the job, whose explanation (JobQueries) says by itself why a queued one is not started; empty:
  // nothing, or the job has ended.
  std::string WarningFor(const Job& job) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Grows when the warning comes, goes or becomes another than by its numbers.
  uint64_t changes() const ABSL_LOCKS_EXCLUDED(mutex_);
  bool full() const ABSL_LOCKS_EXCLUDED(mutex_);
  // RESOURCE_EXHAUSTED, with the warning, when it is full: new work is neither to be taken nor to be given out. So it
  // is where the database is not at its place: FAILED_PRECONDITION.
  absl::Status CheckRoom() const ABSL_LOCKS_EXCLUDED(mutex_);
  void AddSeries(Families* families) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  static constexpr int64_t kTellEveryMs = 30'000;  // of a checkpoint that goes on waiting

  // kWaited: there is some, and a checkpoint waits; kLost: the database is not at its place.
  enum class Level { kRoom, kLow, kWaited, kAway, kFull, kLost };
  struct Waiting {
    absl::Status why;
    int64_t refused_ms = 0;  // last
  };

  std::string WarningOf(Level level, uint64_t free, const absl::Status& checkpoints, const absl::Status& database) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string folder_;
  const uint64_t reserve_bytes_;
  mutable Mutex mutex_;
  Level level_ ABSL_GUARDED_BY(mutex_) = Level::kRoom;
  std::string warning_ ABSL_GUARDED_BY(mutex_);
  uint64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);  // by job
  int64_t told_ms_ ABSL_GUARDED_BY(mutex_) = -kTellEveryMs;         // in the log, of a checkpoint that waits
};

}  // namespace sink
