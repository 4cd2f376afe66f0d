// Whether the coordinator's disk has room: looked at once a tick, told in the log when it changes, and to people who
// ask for a status or why a job is where it is. A disk that fills up unnoticed keeps every job FINALIZING, as no
// checkpoint can be taken. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "coordinator/job/mutex.h"

namespace sink {

class DiskWatch {
 public:
  // `folder` is on the disk. Below `reserve_bytes`, which are left to the database, it counts as full; below four times
  // as many as nearly full.
  DiskWatch(std::string folder, uint64_t reserve_bytes) : folder_(std::move(folder)), reserve_bytes_(reserve_bytes) {}

  void Look() ABSL_LOCKS_EXCLUDED(mutex_);
  // A sentence for people; empty as long as there is room.
  std::string Warning() const ABSL_LOCKS_EXCLUDED(mutex_);
  // RESOURCE_EXHAUSTED, with the warning, when it is full: new work is not to be taken.
  absl::Status CheckRoom() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  enum class Level { kRoom, kLow, kFull };

  const std::string folder_;
  const uint64_t reserve_bytes_;
  mutable Mutex mutex_;
  Level level_ ABSL_GUARDED_BY(mutex_) = Level::kRoom;
  std::string warning_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sink
